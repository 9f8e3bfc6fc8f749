// SPDX-License-Identifier: MIT
/*
 * cpu_opv(2) itself: arguments, padding, and kinds of memory. Nothing here goes
 * through the library.
 */
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"
#include "vectors.h"

#ifndef SYS_memfd_secret
# define SYS_memfd_secret	447
#endif

static int run1(struct cpu_op op)
{
	return cpu_opv(&op, 1, allowed_cpu(0), 0);
}

static void *map(size_t size, int prot, int flags)
{
	void *p = mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void test_vectors_this_cpu(void **state)
{
	(void)state;
	need_kernel();
	pin_to(allowed_cpu(0));
	check_vectors(cpu_opv, allowed_cpu(0), 0);
	unpin();
}

static void test_vectors_other_cpu(void **state)
{
	(void)state;
	need_kernel();
	if (other_cpu(allowed_cpu(0)) < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	check_vectors(cpu_opv, other_cpu(allowed_cpu(0)), 0);
	unpin();
}

static void spin(struct worker *w)
{
	while (!workers_stopping())
		w->done++;
}

static int other_of_first(int index)
{
	(void)index;
	return other_cpu(allowed_cpu(0));
}

/* The other CPU runs a thread of ours: interrupts run the vectors there. */
static void test_vectors_busy_cpu(void **state)
{
	struct worker w[2];

	(void)state;
	need_kernel();
	if (other_cpu(allowed_cpu(0)) < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	start_workers(w, 2, spin, NULL, other_of_first);
	sleep_ms(50);
	check_vectors(cpu_opv, other_cpu(allowed_cpu(0)), 0);
	stop_workers();
	finish_workers(w, 2);
	unpin();
}

static void test_queries(void **state)
{
	int64_t word = 0;
	struct cpu_op op = cpu_op_add(&word, 8, 1);
	unsigned int flag;

	(void)state;
	need_kernel();
	assert_int_equal(cpu_opv(NULL, 0, 0, CPU_OP_NR_FLAG), NR_CPU_OPS);
	assert_int_equal(cpu_opv(NULL, 0, 0, CPU_OP_VEC_LEN_MAX_FLAG), CPU_OP_VEC_LEN_MAX);
	assert_int_equal(cpu_opv(NULL, 0, 0, 3), -EINVAL);
	for (flag = CPU_OP_NR_FLAG; flag <= CPU_OP_VEC_LEN_MAX_FLAG; flag <<= 1) {
		assert_int_equal(cpu_opv(&op, 0, 0, flag), -EINVAL);
		assert_int_equal(cpu_opv(NULL, 1, 0, flag), -EINVAL);
		assert_int_equal(cpu_opv(&op, 1, 0, flag), -EINVAL);
		assert_int_equal(cpu_opv(NULL, 0, 1, flag), -EINVAL);
		assert_int_equal(cpu_opv(NULL, 0, -1, flag), -EINVAL);
		assert_int_equal(cpu_opv(NULL, 0, 0, flag | 1U << 31), -EINVAL);
	}
	for (flag = 4; flag; flag <<= 1) {
		assert_int_equal(cpu_opv(NULL, 0, 0, flag), -EINVAL);
		assert_int_equal(cpu_opv(&op, 1, 0, flag), -EINVAL);
	}
	assert_int_equal(word, 0);
}

static void test_cpu_einval(void **state)
{
	static const int nonsense[] = { -1, INT32_MIN, INT32_MAX, 4096, 8192, 65536 };
	int64_t word = 0;
	struct cpu_op op = cpu_op_add(&word, 8, 1);
	size_t i;

	(void)state;
	need_kernel();
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		assert_int_equal(cpu_opv(&op, 1, nonsense[i], 0), -EINVAL);
		assert_int_equal(cpu_opv(NULL, 0, nonsense[i], 0), -EINVAL);
	}
	assert_int_equal(cpu_opv(&op, 1, rseq_op_nr_cpus(), 0), -EINVAL);
	assert_int_equal(word, 0);
}

static void test_ops_pointer_efault(void **state)
{
	char *pages = map(8192, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int64_t word = 0;
	struct cpu_op *last = (struct cpu_op *)(void *)(pages + 4096) - 1;

	(void)state;
	need_kernel();
	assert_int_equal(munmap(pages + 4096, 4096), 0);
	*last = cpu_op_add(&word, 8, 1);
	assert_int_equal(cpu_opv(last, 1, allowed_cpu(0), 0), 0);
	assert_int_equal(cpu_opv(last, 2, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(cpu_opv(NULL, 1, allowed_cpu(0), 0), -EFAULT);
	/* Of an empty vector it is not looked at. */
	assert_int_equal(cpu_opv((void *)-64L, 0, allowed_cpu(0), 0), 0);
	assert_int_equal(cpu_opv((void *)-64L, 1, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(cpu_opv(last, UINT32_MAX, allowed_cpu(0), 0), -EINVAL);
	assert_int_equal(word, 1);
	munmap(pages, 4096);
}

static void test_unused_bits_einval(void **state)
{
	(void)state;
	need_kernel();
	check_unused_bits(cpu_opv, allowed_cpu(0));
}

static void test_inaccessible_operands_efault(void **state)
{
	(void)state;
	need_kernel();
	check_inaccessible_operands(cpu_opv, allowed_cpu(0));
}

/* Memory nobody has touched yet: the zero page is read, a page of one's own written. */
static void test_untouched_memory(void **state)
{
	char *p = map(4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int64_t zero = 0;
	struct cpu_op ops[] = {
		cpu_op_compare_eq(p, &zero, 8),
		cpu_op_compare_eq(p + 4096, p + 8192, 4096),
		cpu_op_add(p + 3 * 4096, 8, 7),
	};

	(void)state;
	need_kernel();
	assert_int_equal(cpu_opv(ops, 3, allowed_cpu(0), 0), 0);
	assert_int_equal(*(int64_t *)(void *)(p + 3 * 4096), 7);
	/* Now the zero page is mapped. */
	assert_int_equal(p[4096], 0);
	assert_int_equal(cpu_opv(ops, 3, allowed_cpu(0), 0), 0);
	assert_int_equal(run1(cpu_op_add(p + 4096, 8, 3)), 0);
	assert_int_equal(p[4096], 3);
	assert_int_equal(cpu_opv(ops, 3, allowed_cpu(0), 0), 2);
	munmap(p, 4 * 4096);
}

/* The second page is missing: nothing happens to the first. */
static void test_straddle_into_unmapped_efault(void **state)
{
	char *p = map(8192, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int64_t before = 0;

	(void)state;
	need_kernel();
	assert_int_equal(munmap(p + 4096, 4096), 0);
	assert_int_equal(run1(cpu_op_add(p + 4092, 8, -1)), -EFAULT);
	assert_int_equal(run1(cpu_op_memcpy(p + 4092, &before, 8)), -EFAULT);
	assert_int_equal(run1(cpu_op_memcpy(&before, p + 4092, 8)), -EFAULT);
	assert_int_equal(*(int32_t *)(void *)(p + 4092), 0);
	assert_int_equal(run1(cpu_op_add(p + 4088, 8, -1)), 0);
	munmap(p, 4096);
}

static void test_read_only_and_none_efault(void **state)
{
	char *p = map(4096, PROT_READ, MAP_PRIVATE);
	int64_t word = 5;
	struct cpu_op op = cpu_op_memcpy(p, &word, 8);

	(void)state;
	need_kernel();
	assert_int_equal(run1(op), -EFAULT);
	assert_int_equal(run1(cpu_op_expect_fault(op, 0)), -EAGAIN);
	assert_int_equal(run1(cpu_op_compare_eq(p, p, 8)), 0);
	assert_int_equal(mprotect(p, 4096, PROT_NONE), 0);
	assert_int_equal(run1(cpu_op_compare_eq(p, p, 8)), -EFAULT);
	munmap(p, 4096);
}

/* A store made between fork() and the child's exit belongs to one of them. */
static void test_fork_cow(void **state)
{
	int64_t *p = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int status, up[2], down[2];
	char token = 0;
	pid_t pid;

	(void)state;
	need_kernel();
	*p = 10;
	assert_int_equal(pipe(up) | pipe(down), 0);
	pid = fork();
	if (!pid) {
		bool good = read(down[0], &token, 1) == 1 && *p == 10 &&
			    !run1(cpu_op_add(p, 8, 100)) && *p == 110;

		_exit(good && write(up[1], &token, 1) == 1 ? 0 : 1);
	}
	assert_int_equal(run1(cpu_op_add(p, 8, 1)), 0);
	assert_int_equal(write(down[1], &token, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(*p, 11);
	close(up[0]), close(up[1]), close(down[0]), close(down[1]);
	munmap(p, 4096);
}

static void test_shared_file(void **state)
{
	int fd = memfd_create("test", 0);
	int64_t *a, *b;

	(void)state;
	need_kernel();
	assert_int_equal(ftruncate(fd, 4096), 0);
	a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(a, MAP_FAILED);
	assert_ptr_not_equal(b, MAP_FAILED);
	assert_int_equal(run1(cpu_op_add(a, 8, 5)), 0);
	assert_int_equal(run1(cpu_op_add(b, 8, 6)), 0);
	assert_int_equal(*a, 11);
	assert_int_equal(*b, 11);
	/* Beyond the end of the file. */
	assert_int_equal(run1(cpu_op_add(a + 512, 8, 1)), -EFAULT);
	munmap(a, 8192);
	munmap(b, 4096);
	close(fd);
}

/* It cannot be pinned; a single store and reading need no pin. */
static void test_secret_memory(void **state)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);
	int64_t *p, word = 0;
	struct cpu_op two[2];

	(void)state;
	need_kernel();
	if (fd < 0)
		skip_because("no memfd_secret(2): %s", strerror(errno));
	assert_int_equal(ftruncate(fd, 8192), 0);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	two[0] = cpu_op_add(p, 8, 1);
	two[1] = cpu_op_add(&word, 8, 1);
	*p = 41;
	assert_int_equal(run1(cpu_op_add(p, 8, 1)), 0);
	assert_int_equal(*p, 42);
	assert_int_equal(cpu_opv(two, 2, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(run1(cpu_op_memcpy((char *)p + 4092, &word, 8)), -EFAULT);
	assert_int_equal(*p, 42);
	assert_int_equal(run1(cpu_op_memcpy(&word, p, 8)), 0);
	assert_int_equal(word, 42);
	munmap(p, 8192);
	close(fd);
}

/* What a driver mapped: it may be refused, but neither spins nor is it harmed. */
static void test_driver_memory(void **state)
{
	struct io_uring_params params = { .flags = 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params), ret;
	int32_t *ring;
	struct cpu_op op;

	(void)state;
	need_kernel();
	if (fd < 0)
		skip_because("no io_uring_setup(2): %s", strerror(errno));
	ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	assert_ptr_not_equal(ring, MAP_FAILED);
	ring[0] = 42;
	op = cpu_op_add(ring, 4, 1);
	alarm(LIMIT_S);
	ret = run1(op);
	alarm(0);
	if (ret)
		assert_int_equal(ret, -EFAULT);
	assert_int_equal(ring[0], ret ? 42 : 43);
	munmap(ring, 4096);
	close(fd);
}

/*
 * For a busy CPU, where a vector may meet a kernel thread instead, and is done then: how
 * often, until it was refused; -1 where it never was.
 */
static int done_until(int error, const struct cpu_op *ops, unsigned int nr_ops, int cpu)
{
	int done, ret;

	for (done = 0; done < 10; done++) {
		ret = cpu_opv(ops, nr_ops, cpu, 0);
		if (ret)
			return ret == error ? done : -1;
		sleep_ms(10);
	}
	return -1;
}

/* Rights by protection key are those of the thread that calls. */
static void test_protection_key(void **state)
{
	int64_t *p = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int64_t one = 1, two = 2;
	struct cpu_op stopped[] = { cpu_op_compare_eq(&one, &two, 8), cpu_op_add(p, 8, 1) };
	int key = pkey_alloc(0, 0), done;
	struct worker w[1];

	(void)state;
	need_kernel();
	if (key < 0)
		skip_because("no protection keys: %s", strerror(errno));
	assert_int_equal(pkey_mprotect(p, 4096, PROT_READ | PROT_WRITE, key), 0);
	assert_int_equal(run1(cpu_op_add(p, 8, 1)), 0);
	assert_int_equal(pkey_set(key, PKEY_DISABLE_WRITE), 0);
	assert_int_equal(run1(cpu_op_add(p, 8, 1)), -EFAULT);
	/* Behind a comparison that stops the vector too. */
	assert_int_equal(cpu_opv(stopped, 2, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(pkey_set(key, 0), 0);
	assert_int_equal(cpu_opv(stopped, 2, allowed_cpu(0), 0), 1);
	assert_int_equal(*p, 1);
	if (other_cpu(allowed_cpu(0)) >= 0) {
		struct cpu_op op = cpu_op_add(p, 8, 1);

		/* Where there are keys a stopper runs it, which has no rights. */
		start_workers(w, 1, spin, NULL, other_of_first);
		sleep_ms(50);
		pin_to(allowed_cpu(0));
		done = done_until(-EFAULT, &op, 1, other_cpu(allowed_cpu(0)));
		assert_true(done >= 0);
		assert_int_equal(*p, 1 + done);
		unpin();
		stop_workers();
		finish_workers(w, 1);
	}
	munmap(p, 4096);
	pkey_free(key);
}

/* The stack grows for an operand as it does for a store. */
static void test_stack_grows(void **state)
{
	char line[256], *low = NULL;
	unsigned long start, end;
	FILE *maps = fopen("/proc/self/maps", "r");
	struct cpu_op two[2];
	struct rlimit limit;

	(void)state;
	need_kernel();
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			low = (char *)start;
	}
	fclose(maps);
	assert_non_null(low);
	assert_int_equal(run1(cpu_op_add(low - 8192, 8, 3)), 0);
	assert_int_equal(*(int64_t *)(void *)(low - 8192), 3);
	/* The same where pages are pinned: the kernel must have no reason to complain. */
	two[0] = cpu_op_add(low - 32768, 8, 4);
	two[1] = cpu_op_add(low - 32760, 8, 5);
	assert_int_equal(cpu_opv(two, 2, allowed_cpu(0), 0), 0);
	assert_int_equal(*(int64_t *)(void *)(low - 32768), 4);
	assert_int_equal(*(int64_t *)(void *)(low - 32760), 5);
	/* Where it cannot grow it is an error, as for any access. */
	assert_int_equal(getrlimit(RLIMIT_STACK, &limit), 0);
	assert_int_equal(setrlimit(RLIMIT_STACK, &(struct rlimit){ 4096, limit.rlim_max }), 0);
	two[0] = cpu_op_add(low - 49152, 8, 6);
	assert_int_equal(cpu_opv(two, 2, allowed_cpu(0), 0), -EFAULT);
	assert_int_equal(run1(cpu_op_add(low - 49152, 8, 6)), -EFAULT);
	assert_int_equal(setrlimit(RLIMIT_STACK, &limit), 0);
	assert_int_equal(*(int64_t *)(void *)(low - 32760), 5);
}

/*
 * A thread that can read memory, but not write it: no key has to be allocated for that.
 * The kernel would end it when it cannot write to an area for rseq.
 */
static volatile int may_write;

static void spin_without_writing(struct worker *w)
{
	(void)w;
#ifdef __x86_64__
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
			libc_rseq_size(), RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
	__asm__ volatile ("xorl %%ecx, %%ecx\n\t"
			  "rdpkru\n\t"
			  "movl %%eax, %%esi\n\t"
			  "orl $2, %%eax\n\t"
			  "wrpkru\n"
			  "1:\n\t"
			  "pause\n\t"
			  "cmpl $0, %0\n\t"
			  "je 1b\n\t"
			  "movl %%esi, %%eax\n\t"
			  "wrpkru"
			  : : "m" (may_write) : "eax", "ecx", "edx", "esi", "memory");
#endif
}

/* The rights of a thread that an interrupt finds are not the caller's. */
static void test_busy_cpu_with_fewer_rights(void **state)
{
	int64_t word = 0;
	struct cpu_op op = cpu_op_add(&word, 8, 1);
	int key = pkey_alloc(0, 0);
	struct worker w[1];

	(void)state;
	need_kernel();
	if (key < 0)
		skip_because("no protection keys: %s", strerror(errno));
	pkey_free(key);
	if (other_cpu(allowed_cpu(0)) < 0)
		skip_because("only one CPU");
	pin_to(allowed_cpu(0));
	start_workers(w, 1, spin_without_writing, NULL, other_of_first);
	sleep_ms(50);
	assert_int_equal(cpu_opv(&op, 1, other_cpu(allowed_cpu(0)), 0), 0);
	assert_int_equal(word, 1);
	may_write = 1;
	stop_workers();
	finish_workers(w, 1);
	unpin();
}

/* The entry for 32-bit programs takes the same structures; its pointers are short. */
static void test_ia32_entry(void **state)
{
	struct { struct cpu_op op; int64_t word; } *low;
	int ret;

	(void)state;
	need_kernel();
#ifdef __x86_64__
	low = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_32BIT);
	low->op = cpu_op_add(&low->word, 8, -3);
	__asm__ volatile ("int $0x80" : "=a" (ret)
			  : "a" (__NR_cpu_opv), "b" (&low->op), "c" (1), "d" (allowed_cpu(0)),
			    "S" (0)
			  : "memory");
	assert_int_equal(ret, 0);
	assert_int_equal(low->word, -3);
	__asm__ volatile ("int $0x80" : "=a" (ret)
			  : "a" (__NR_cpu_opv), "b" (&low->op), "c" (1), "d" (-1), "S" (0)
			  : "memory");
	assert_int_equal(ret, -EINVAL);
	munmap(low, 4096);
#else
	(void)low, (void)ret;
	skip_because("not on x86-64");
#endif
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		fail_msg("%s: %s", path, strerror(errno));
}

/*
 * Nobody may disturb another process on a CPU that is not his, nor need he where
 * nothing is shared with it. In a cpuset without the last CPU, which another process
 * keeps busy:
 */
#define CPUSET	"/sys/fs/cgroup/test_cpu_opv"

static int64_t private_word = 5;	/* private, in a mapping of a file: .data */

static int outside_cpuset(int64_t *shared_word, int cpu)
{
	int64_t before = 0;
	struct cpu_op from_shared[] = { cpu_op_compare_eq(shared_word, &before, 8),
					cpu_op_add(&private_word, 8, 1) };
	struct cpu_op from_private[] = { cpu_op_compare_eq(&private_word, &before, 8),
					 cpu_op_add(&private_word, 8, 1) };
	struct cpu_op to_shared = cpu_op_add(shared_word, 8, 1);
	int done;

	if (setuid(65534))
		return 1;
	done = done_until(-EPERM, &to_shared, 1, cpu);
	if (done < 0 || *shared_word != 5 + done)
		return 2;
	before = *shared_word;
	done = done_until(-EPERM, from_shared, 2, cpu);
	if (done < 0 || private_word != 5 + done)
		return 3;
	before = private_word;
	if (cpu_opv(from_private, 2, cpu, 0) || private_word != before + 1)
		return 4;
	before = *shared_word;
	return cpu_opv(&to_shared, 1, allowed_cpu(0), 0) || *shared_word != before + 1 ? 5 : 0;
}

static void test_shared_outside_cpuset_eperm(void **state)
{
	int cpu = allowed_cpu(nr_allowed_cpus() - 1), status;
	int64_t *shared_word = map(4096, PROT_READ | PROT_WRITE, MAP_SHARED);
	struct cpu_op to_shared = cpu_op_add(shared_word, 8, 1);
	int64_t before;
	pid_t busy, caller;
	char cpus[32];

	(void)state;
	need_kernel();
	if (!getenv("TEST_VM"))
		skip_because("cpusets are set up only in the VM");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
	assert_int_equal(mkdir(CPUSET, 0755), 0);
	snprintf(cpus, sizeof(cpus), "%d", allowed_cpu(0));
	write_file(CPUSET "/cpuset.cpus", cpus);
	*shared_word = 5;
	busy = fork();
	if (!busy) {
		pin_to(cpu);
		for (;;)
			;
	}
	sleep_ms(300);
	caller = fork();
	if (!caller) {
		write_file(CPUSET "/cgroup.procs", "0");
		_exit(outside_cpuset(shared_word, cpu));
	}
	assert_int_equal(waitpid(caller, &status, 0), caller);
	assert_int_equal(status, 0);
	/* With CAP_SYS_NICE, and in the cpuset anyway. */
	before = *shared_word;
	assert_int_equal(cpu_opv(&to_shared, 1, cpu, 0), 0);
	assert_int_equal(*shared_word, before + 1);
	kill(busy, SIGKILL);
	waitpid(busy, &status, 0);
	assert_int_equal(rmdir(CPUSET), 0);
	munmap(shared_word, 4096);
}

static void test_vector_changes_itself_runs_as_it_was(void **state)
{
	int i;

	(void)state;
	need_kernel();
	for (i = 0; i < nr_allowed_cpus(); i++)
		check_vector_changes_itself(cpu_opv, allowed_cpu(i));
}

/* The call neither moves the caller nor changes where it may run. */
static void test_caller_stays(void **state)
{
	int64_t word = 0;
	struct cpu_op op = cpu_op_add(&word, 8, 1);
	cpu_set_t before, after;
	int i;

	(void)state;
	need_kernel();
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (i = 0; i < nr_allowed_cpus(); i++)
		assert_int_equal(cpu_opv(&op, 1, allowed_cpu(i), 0), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
	pin_to(allowed_cpu(0));
	for (i = 0; i < nr_allowed_cpus(); i++) {
		assert_int_equal(cpu_opv(&op, 1, allowed_cpu(i), 0), 0);
		assert_int_equal(sched_getcpu(), allowed_cpu(0));
	}
	unpin();
	assert_int_equal(word, 2 * nr_allowed_cpus());
}

/* The structure as the manual lays it out, byte by byte. */
static void test_layout_as_documented(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct cpu_op), 32);
	assert_int_equal(offsetof(struct cpu_op, op), 0);
	assert_int_equal(offsetof(struct cpu_op, len), 4);
	assert_int_equal(offsetof(struct cpu_op, u), 8);
	assert_int_equal(offsetof(struct cpu_op, u.compare_op.a), 8);
	assert_int_equal(offsetof(struct cpu_op, u.compare_op.b), 16);
	assert_int_equal(offsetof(struct cpu_op, u.compare_op.expect_fault_a), 24);
	assert_int_equal(offsetof(struct cpu_op, u.compare_op.expect_fault_b), 25);
	assert_int_equal(offsetof(struct cpu_op, u.memcpy_op.dst), 8);
	assert_int_equal(offsetof(struct cpu_op, u.memcpy_op.src), 16);
	assert_int_equal(offsetof(struct cpu_op, u.memcpy_op.expect_fault_dst), 24);
	assert_int_equal(offsetof(struct cpu_op, u.memcpy_op.expect_fault_src), 25);
	assert_int_equal(offsetof(struct cpu_op, u.arithmetic_op.p), 8);
	assert_int_equal(offsetof(struct cpu_op, u.arithmetic_op.count), 16);
	assert_int_equal(offsetof(struct cpu_op, u.arithmetic_op.expect_fault_p), 24);
	assert_int_equal(offsetof(struct cpu_op, u.bitwise_op.p), 8);
	assert_int_equal(offsetof(struct cpu_op, u.bitwise_op.mask), 16);
	assert_int_equal(offsetof(struct cpu_op, u.bitwise_op.expect_fault_p), 24);
	assert_int_equal(offsetof(struct cpu_op, u.shift_op.p), 8);
	assert_int_equal(offsetof(struct cpu_op, u.shift_op.bits), 16);
	assert_int_equal(offsetof(struct cpu_op, u.shift_op.zero_bits), 20);
	assert_int_equal(offsetof(struct cpu_op, u.shift_op.expect_fault_p), 24);
	assert_int_equal(offsetof(struct cpu_op, u.immediate_op.p), 8);
	assert_int_equal(offsetof(struct cpu_op, u.immediate_op.value), 16);
	assert_int_equal(offsetof(struct cpu_op, u.immediate_op.expect_fault_p), 24);
}

/* The numbers of the manual, which never change. */
static void test_numbers_as_documented(void **state)
{
	static const int numbers[] = {
		CPU_COMPARE_EQ_OP, CPU_COMPARE_NE_OP, CPU_MEMCPY_OP, CPU_MEMCPY_RELEASE_OP,
		CPU_ADD_OP, CPU_ADD_RELEASE_OP, CPU_OR_OP, CPU_AND_OP, CPU_XOR_OP, CPU_LSHIFT_OP,
		CPU_RSHIFT_OP, CPU_MB_OP, CPU_COMPARE_EQ_IMM_OP, CPU_COMPARE_NE_IMM_OP,
		CPU_STORE_IMM_OP, CPU_STORE_RELEASE_IMM_OP,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		assert_int_equal(numbers[i], i);
	assert_int_equal(NR_CPU_OPS, ARRAY_SIZE(numbers));
	assert_int_equal(CPU_OP_VEC_LEN_MAX, 16);
	assert_int_equal(CPU_OP_DATA_LEN_MAX, 4096);
	assert_int_equal(CPU_OP_VEC_DATA_LEN_MAX, 4216);
	assert_int_equal(CPU_OP_NR_FLAG, 1);
	assert_int_equal(CPU_OP_VEC_LEN_MAX_FLAG, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_this_cpu),
		cmocka_unit_test(test_vectors_other_cpu),
		cmocka_unit_test(test_vectors_busy_cpu),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_cpu_einval),
		cmocka_unit_test(test_ops_pointer_efault),
		cmocka_unit_test(test_unused_bits_einval),
		cmocka_unit_test(test_inaccessible_operands_efault),
		cmocka_unit_test(test_untouched_memory),
		cmocka_unit_test(test_straddle_into_unmapped_efault),
		cmocka_unit_test(test_read_only_and_none_efault),
		cmocka_unit_test(test_fork_cow),
		cmocka_unit_test(test_shared_file),
		cmocka_unit_test(test_secret_memory),
		cmocka_unit_test(test_driver_memory),
		cmocka_unit_test(test_protection_key),
		cmocka_unit_test(test_busy_cpu_with_fewer_rights),
		cmocka_unit_test(test_stack_grows),
		cmocka_unit_test(test_ia32_entry),
		cmocka_unit_test(test_shared_outside_cpuset_eperm),
		cmocka_unit_test(test_vector_changes_itself_runs_as_it_was),
		cmocka_unit_test(test_caller_stays),
		cmocka_unit_test(test_layout_as_documented),
		cmocka_unit_test(test_numbers_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
