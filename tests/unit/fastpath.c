// SPDX-License-Identifier: MIT
/*
 * What a sequence commits at the first attempt costs no system call and no allocation: a
 * million of each operation, in a child whose system calls are trapped and counted, and
 * with malloc() and its like counted. That it takes no lock either is read from the
 * instructions, by tests/doc/fastpath.sh.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define TIMES	1000000

static struct seen {
	unsigned long calls, allocations;	/* while it was counted */
	unsigned long control_calls, control_allocations;	/* of one each, after it */
	unsigned long failed;			/* operations */
	uint64_t left;				/* and those that left their sequence */
} *seen;

static volatile unsigned long calls, allocations;

/* The C library's own are behind these. A sanitizer has its own, and keeps them. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
# define COUNTS_ALLOCATIONS 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	allocations++;
	return __libc_realloc(p, size);
}

void *memalign(size_t alignment, size_t size)
{
	allocations++;
	return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
	*p = memalign(alignment, size);
	return *p ? 0 : ENOMEM;
}
#else
# define COUNTS_ALLOCATIONS 0
#endif

/* With SA_SIGINFO, without which i386 returns by another call. */
static void on_call(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	calls++;
}

/* From here on nothing but exit_group(2), and the return from the handler. */
static bool trap_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };
	struct sigaction action = { .sa_sigaction = on_call, .sa_flags = SA_SIGINFO };

	return !sigaction(SIGSYS, &action, NULL) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static intptr_t v, v2, old, list, node, to_v = (intptr_t)&v, to_to_v = (intptr_t)&to_v;
static char src[256], dst[256];

static unsigned long run_all(int cpu, int cid)
{
	const struct cpu_op add = cpu_op_add(&v, sizeof(v), 1);
	unsigned long failed = 0;
	int i;

	for (i = 0; i < TIMES; i++) {
		failed += !!rseq_op_storev(&v, i, cpu);
		failed += !!rseq_op_xchgv(&v, i, &old, cpu);
		failed += !!rseq_op_addv(&v, 1, cpu);
		failed += !!rseq_op_addv_cid(&v2, 0, cid);
		failed += !!rseq_op_fetch_addv(&v, 1, &old, cpu);
		failed += !!rseq_op_orv(&v, 1, cpu);
		failed += !!rseq_op_andv(&v, -1, cpu);
		failed += !!rseq_op_xorv(&v, 1, cpu);
		failed += !!rseq_op_cmpeqv_storev(&v, v, i, cpu);
		failed += rseq_op_cmpeqv_storev(&v, v + 1, i, cpu) != 1;
		failed += !!rseq_op_cmpeqv_cmpeqv_storev(&v, v, &v2, 0, i, cpu);
		failed += !!rseq_op_cmpeqv_storev_storev(&v, v, &v2, 0, i, cpu);
		failed += !!rseq_op_cmpeqv_memcpy_storev(&v, v, dst, src, (size_t)(i % 256), i,
							  cpu);
		list = (intptr_t)&node;
		failed += !!rseq_op_cmpnev_storeoffp_load(&list, 0, 0, &old, cpu);
		failed += !!rseq_op_offset_deref_addv(&to_to_v, 0, 1, cpu);
		failed += !!rseq_op(&add, 1, cpu, 0);
	}
	return failed;
}

static uint64_t left_sequence(void)
{
	struct rseq_op_stats s;

	rseq_op_stats(&s, sizeof(s));
	return s.aborted + s.remote + s.closed + s.unregistered + s.forced + s.vector;
}

/* In the child: nothing is printed, and what it allocates by itself comes before. */
static void count_all(int cpu)
{
	uint64_t left = left_sequence();

	if (!trap_calls())
		_exit(1);
	calls = allocations = 0;
	seen->failed = run_all(cpu, rseq_op_current_cid());
	seen->calls = calls;
	seen->allocations = allocations;
	seen->left = left_sequence() - left;
	syscall(SYS_getppid);
	free(malloc((size_t)rseq_op_nr_cpus()));
	seen->control_calls = calls - seen->calls;
	seen->control_allocations = allocations - seen->allocations;
	_exit(0);
}

/* An operation that aborts three times in a row does leave; a pinned thread's hardly. */
static void test_sequences_make_no_call_and_allocate_nothing(void **state)
{
	int cpu = allowed_cpu(0), status;
	pid_t pid;

	(void)state;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(seen, MAP_FAILED);
	pin_to(cpu);
	rseq_op_addv(&v, 1, cpu);	/* a thread may be registered by its first */
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		count_all(cpu);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(seen->failed, 0);
	assert_int_equal(seen->left, 0);
	assert_int_equal(seen->calls, 0);
	assert_int_equal(seen->control_calls, 1);
	if (!COUNTS_ALLOCATIONS)
		skip_because("a sanitizer allocates; the calls were counted");
	assert_int_equal(seen->allocations, 0);
	assert_int_equal(seen->control_allocations, 1);
	unpin();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences_make_no_call_and_allocate_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
