// SPDX-License-Identifier: MIT
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"

int cpu_opv(const struct cpu_op *ops, unsigned int nr_ops, int cpu, unsigned int flags)
{
	long ret = syscall(__NR_cpu_opv, ops, nr_ops, cpu, flags);

	return ret < 0 ? -errno : (int)ret;
}

static void have_key(void)
{
	static int key = -1;

	if (!getenv("TEST_PKEY") || key >= 0)
		return;
	key = (int)syscall(SYS_pkey_alloc, 0, 0);
	if (key < 0)
		skip_because("TEST_PKEY is set, and there are no protection keys");
}

void need_kernel(void)
{
	if (cpu_opv(NULL, 0, 0, CPU_OP_NR_FLAG) != -ENOSYS) {
		have_key();
		return;
	}
	if (getenv("REQUIRE_KERNEL"))
		fail_msg("REQUIRE_KERNEL is set, and this kernel has no cpu_opv(2)");
	skip_because("this kernel has no cpu_opv(2)");
}

/* glibc 2.35 and later. It says how many bytes the kernel fills in, which may be fewer. */
extern const unsigned int __rseq_size __attribute__((weak));

uint32_t libc_rseq_size(void)
{
	return &__rseq_size && __rseq_size > 32 ? __rseq_size : 32;
}

static cpu_set_t *allowed(void)
{
	static cpu_set_t set;
	static bool known;

	if (!known) {
		assert_int_equal(sched_getaffinity(getpid(), sizeof(set), &set), 0);
		known = true;
	}
	return &set;
}

void pin_to(int cpu)
{
	cpu_set_t set;

	allowed();
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

void unpin(void)
{
	assert_int_equal(sched_setaffinity(0, sizeof(cpu_set_t), allowed()), 0);
}

int nr_allowed_cpus(void)
{
	return CPU_COUNT(allowed());
}

int allowed_cpu(int i)
{
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, allowed()) && !i--)
			return cpu;
	}
	return -1;
}

int other_cpu(int cpu)
{
	int i;

	for (i = 0; i < nr_allowed_cpus(); i++) {
		if (allowed_cpu(i) != cpu)
			return allowed_cpu(i);
	}
	return -1;
}

bool always_by_backend(void)
{
	const char *forced = getenv("RSEQ_OP_FORCE_FALLBACK");

	return (forced && !strcmp(forced, "1")) || rseq_op_backend(NULL) == RSEQ_OP_BACKEND_GUARD;
}

uint32_t next_random(uint32_t *state)
{
	/* xorshift32 */
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}
