# SPDX-License-Identifier: MIT
#
# sequences.pl FILE: check the descriptors of restartable sequences in a program or library
# for x86-64, i386 or aarch64 against what objdump and readelf say of it. Print a line for each
# fault, and "checked N" at the end. A sequence
#
#	is described by version 0 and flags 0, in memory aligned to 32 bytes
#	begins and ends between instructions
#	aborts to a place outside of it, behind the signature
#	jumps to places inside of it, or to an exit that is listed, and nowhere else
#	neither calls, returns nor enters the kernel
#	has its last store at its very end, and as many before as its operation has
#	ends, on aarch64, with a release where the operation has one, and only there
use strict;
use warnings;

# What the machines call things. A store on x86 has its last operand in memory; what only
# looks at it has that, too.
my $x86 = {
	objdump => 'objdump',
	signature => 0x53053053,
	is_store => sub {
		return 1 if /^(rep )?(movs|stos)[bwlq]\b/;
		return 0 if /^(cmp|test|lea|nop|j)/;
		return /(\)|%[fg]s:[^,()]+|,0x[0-9a-f]+)$/ && /,|^(inc|dec|not|neg)/;
	},
	leaves => qr/^(call|ret|syscall|int|sysenter|iret)|^j\w+ +\*/,
	jump => qr/^j\w+ +([0-9a-f]+)/,
};
my %machines = (
	"Advanced Micro Devices X86-64" => $x86,
	"Intel 80386" => $x86,
	"AArch64" => {
		objdump => 'aarch64-linux-gnu-objdump',
		signature => 0xd428bc00,
		is_store => sub { /^st/ },
		is_release => sub { /^stlr\s/ },
		leaves => qr/^(bl|blr|br|ret|svc|hvc|smc|brk|eret)\b/,
		jump => qr/^(?:b|b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\w+,)\s+([0-9a-f]+) </,
	},
);
my $file = shift // die "usage: sequences.pl FILE\n";
my %stores = (	# before the last; -1: any number
	storev => 0, xchgv => 1, addv => 0, orv => 0, andv => 0, xorv => 0, fetch_addv => 1,
	cmpeqv_storev => 0, cmpeqv_cmpeqv_storev => 0, cmpeqv_storev_storev => 1,
	cmpeqv_memcpy_storev => -1, cmpnev_storeoffp_load => 1, offset_deref_addv => 0,
);
my ($machine, %insn, %next, %symbol_at, @symbols, %relocated, %section, @bytes);
my $faults = 0;

sub fault { print "@_\n"; $faults++ }

sub lines { open(my $f, '-|', @_) or die "$_[0]: $!\n"; my @l = <$f>; close $f or die "$_[0]\n"; @l }

sub read_machine
{
	my ($name) = map { /^ *Machine: +(.*)/ } lines('readelf', '-hW', $file);

	return $machines{$name} // die "$file: for $name, which is not known\n";
}

sub read_code
{
	my $last;

	for (lines($machine->{objdump}, '-dw', '--no-show-raw-insn', $file)) {
		next unless /^ *([0-9a-f]+):\s+(\S.*?)\s*(# .*|\/\/ .*)?$/;
		my $at = hex $1;
		$insn{$at} = $2;
		$next{$last} = $at if defined $last;
		$last = $at;
	}
}

sub read_sections
{
	for (lines('readelf', '-SW', $file)) {
		next unless /^ *\[ *\d+\] (\S+) +\S+ +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)/;
		$section{$1} = { address => hex $2, offset => hex $3, size => hex $4 };
	}
	for (lines('readelf', '-rW', $file)) {
		$relocated{hex $1} = hex $2 if /^([0-9a-f]+) .*R_\w+_RELATIVE +([0-9a-f]+)$/;
	}
	for (lines('readelf', '-sW', $file)) {
		push @symbols, [hex $1, $2, $3]
			if /: ([0-9a-f]+) +(\d+) FUNC .* ([A-Za-z0-9_]+)(?:@\S+)?$/;
	}
}

sub contents
{
	my $name = shift;
	my $s = $section{$name} // die "$file: no section $name\n";
	my $data;

	open(my $f, '<:raw', $file) or die "$file: $!\n";
	seek $f, $s->{offset}, 0;
	read $f, $data, $s->{size};
	return $data;
}

# Words of 64 bits of a section, relocated.
sub words
{
	my $name = shift;
	my $at = $section{$name}{address} // return ();
	my @w;

	for (unpack 'Q<*', contents($name)) {
		push @w, $relocated{$at} // $_;
		$at += 8;
	}
	return @w;
}

sub signature_before
{
	my $at = shift() - 4;

	for my $s (values %section) {
		next unless $s->{address} && $at >= $s->{address} && $at < $s->{address} + $s->{size};
		open(my $f, '<:raw', $file) or die "$file: $!\n";
		seek $f, $s->{offset} + $at - $s->{address}, 0;
		read $f, my $data, 4;
		return unpack 'L<', $data;
	}
	return 0;
}

sub function_of
{
	my $at = shift;

	for (@symbols) {
		return $_->[2] if $at >= $_->[0] && $at < $_->[0] + $_->[1];
	}
	return '?';
}

sub is_store { local $_ = shift; $machine->{is_store}->() }

sub is_release { local $_ = shift; $machine->{is_release}->() }

sub check
{
	my ($what, $start, $length, $abort, $exits) = @_;
	my $end = $start + $length;
	my ($at, $last, @stores) = ($start);

	return fault("$what: $length bytes long") if $length < 1 || $length > 65535;
	return fault("$what: begins inside an instruction") unless $insn{$start};
	fault("$what: aborts into itself") if $abort >= $start && $abort < $end;
	fault("$what: aborts where no instruction is") unless $insn{$abort};
	fault("$what: no signature before the abort") if signature_before($abort) != $machine->{signature};
	while ($at < $end) {
		my $text = $insn{$at};

		push @stores, $at if is_store($text);
		fault("$what: $text") if $text =~ $machine->{leaves};
		if ($text =~ $machine->{jump}) {
			my $to = hex $1;
			fault("$what: leaves to " . sprintf('%x', $to) . ", no exit")
				unless $to >= $start && $to < $end && $insn{$to} || $exits->{$to};
		}
		$last = $at;
		$at = $next{$at} // last;
	}
	fault("$what: ends inside an instruction") if $at != $end;
	fault("$what: does not end with a store") unless @stores && $stores[-1] == $last;
	my $name = function_of($start);
	if ($name =~ /^rseq_op_seq_(\w+?)(32)?(_release)?(_cid)?$/) {
		my $before = $stores{$1} // return fault("$what: of $1, which is not known");
		fault("$what: " . @stores . " stores: " . join("; ", map { $insn{$_} } @stores)) if $before >= 0 && @stores != $before + 1;
		fault("$what: ends with $insn{$last}")
			if $machine->{is_release} && is_release($insn{$last}) != defined $3;
	}
}

$machine = read_machine();
read_code();
read_sections();
my @exits = words('__rseq_exit_point_array');
my (%exits_of, $checked);
while (my ($from, $to) = splice @exits, 0, 2) {
	$exits_of{$from}{$to} = 1;
}
my @cs = words('__rseq_cs');
my @pointers = words('__rseq_cs_ptr_array');
my $address = $section{__rseq_cs}{address};
fault("__rseq_cs is not aligned") if $address % 32 || @cs % 4;
while (my ($head, $start, $length, $abort) = splice @cs, 0, 4) {
	my $what = sprintf('%s, sequence at %x', function_of($start), $start);

	fault("$what: version or flags") if $head;
	fault("$what: is not in the array of pointers") unless grep { $_ == $address } @pointers;
	check($what, $start, $length, $abort, $exits_of{$start} // {});
	$address += 32;
	$checked++;
}
printf "checked %d\n", $checked // 0;
exit($faults ? 1 : 0);
