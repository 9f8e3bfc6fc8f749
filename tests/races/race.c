// SPDX-License-Identifier: MIT
/*
 * race [SECONDS [NAME]]: each oracle against each mutator that fits it, for that
 * long; of those whose name holds NAME.
 *
 * The call waits at random between its steps where the kernel can do that
 * (CONFIG_DEBUG_CPU_OPV).
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

#define DELAY_PATH	"/sys/kernel/debug/cpu_opv_delay_us"
#define ROUND_MS	250
#define PATIENCE_MS	60000		/* for a step with effect in each round */

/*
 * Of a while, three quarters of the pages are left alone, and now and then all of them:
 * what is pinned or written all the time is neither merged nor moved.
 */
#define ACTIVE_PAGES	4
#define ACTIVE_MS	25
#define REST_MS		10

/* Far below where the kernel puts mappings of its choice. */
#define REGION_AT	((void *)0x100000000000)

static const struct oracle *const oracles[] = {
	&counters_oracle, &children_oracle, &list_oracle, &pages_oracle,
};

/* The longest, in microseconds, of each round. */
static const char *const delays[] = { "0", "1000", "50", "400" };

static struct race race;
static int run_ms = 2000;
static volatile int first_active;
static volatile bool resting;
static char delay_before[16];

void *page_at(const struct race *x, int page)
{
	return x->region.at + page % NR_PAGES * PAGE;
}

void take_turn(struct worker *w)
{
	if (next_random(&w->random) % 4 == 0)
		sleep_ms(1);
	while (resting && !workers_stopping())
		sleep_ms(1);
}

static int pick_from(struct worker *w, int pages)
{
	return (first_active + (int)(next_random(&w->random) % (uint32_t)pages)) % NR_PAGES;
}

int pick_page(struct worker *w)
{
	return pick_from(w, ACTIVE_PAGES);
}

/*
 * Operations
 */

struct cpu_op add_op(void *p, int64_t count)
{
	return cpu_op_expect_fault(cpu_op_add(p, 8, count), 0);
}

struct cpu_op store_op(void *p, uint64_t value)
{
	return cpu_op_expect_fault(cpu_op_store_imm(p, 8, value), 0);
}

struct cpu_op copy_op(void *dst, const void *src)
{
	return cpu_op_expect_fault(cpu_op_expect_fault(cpu_op_memcpy(dst, src, 8), 0), 1);
}

struct cpu_op equal_op(const void *a, const void *b)
{
	return cpu_op_expect_fault(cpu_op_expect_fault(cpu_op_compare_eq(a, b, 8), 0), 1);
}

struct cpu_op equals_op(const void *p, uint64_t value)
{
	return cpu_op_expect_fault(cpu_op_compare_eq_imm(p, 8, value), 0);
}

/*
 * Delays
 */

static bool set_delay(const char *us)
{
	int fd = open(DELAY_PATH, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, us, strlen(us)) > 0;
	close(fd);
	return good;
}

static int save_delay(void **state)
{
	int fd = open(DELAY_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	(void)state;
	if (fd < 0) {
		print_message("# no delays: this kernel has no " DELAY_PATH "\n");
		return 0;
	}
	len = read(fd, delay_before, sizeof(delay_before) - 1);
	close(fd);
	return len <= 0;
}

static int restore_delay(void **state)
{
	(void)state;
	return delay_before[0] && !set_delay(delay_before);
}

/*
 * Steps, by this process or by another one
 */

enum { NO_EFFECT, EFFECT, WRONG };

static struct helper {
	pid_t pid;
	int socket;
	pthread_mutex_t lock;
} helper = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint8_t make_step(int page)
{
	static __thread uint32_t random = 0x2545f491;
	uint8_t ret;

	if (race.oracle->before_step)
		race.oracle->before_step();
	ret = race.mutator->step(&race.region, page, &random) ? EFFECT : NO_EFFECT;
	if (race.oracle->after_step && !race.oracle->after_step())
		ret = WRONG;
	return ret;
}

static void serve(int socket)
{
	uint8_t page, ret;

	while (read(socket, &page, 1) == 1) {
		ret = make_step(page);
		if (write(socket, &ret, 1) != 1)
			break;
	}
	_exit(0);
}

static void start_helper(void)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	helper.pid = fork();
	assert_true(helper.pid >= 0);
	if (!helper.pid) {
		close(sockets[0]);
		serve(sockets[1]);
	}
	close(sockets[1]);
	helper.socket = sockets[0];
}

static void stop_helper(void)
{
	if (!helper.pid)
		return;
	close(helper.socket);
	waitpid(helper.pid, NULL, 0);
	helper.pid = 0;
}

static uint8_t ask_helper(struct worker *w, uint8_t page)
{
	uint8_t ret = WRONG;

	pthread_mutex_lock(&helper.lock);
	if (write(helper.socket, &page, 1) != 1 || read(helper.socket, &ret, 1) != 1)
		wrong(w, "the other process has ended");
	pthread_mutex_unlock(&helper.lock);
	return ret;
}

void mutate(struct race *x, struct worker *w, int page)
{
	uint8_t ret = x->mutator->flags & OUTSIDE ? ask_helper(w, (uint8_t)page) :
		      make_step(page);

	if (ret == WRONG)
		wrong(w, "after a step on page %d, foreign memory has changed", page);
	__atomic_add_fetch(&x->steps, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&x->effects, ret == EFFECT, __ATOMIC_RELAXED);
}

/* Threads that have come to where they run. */
static int started, nr_threads;

/* A thread cannot be pinned to a CPU while that is down, or not in its cpuset. */
static void mutate_freely(struct worker *w)
{
	while (__atomic_load_n(&started, __ATOMIC_RELAXED) < nr_threads)
		sleep_ms(1);
	while (!workers_stopping())
		mutate(w->arg, w, pick_from(w, next_random(&w->random) & 64 ? NR_PAGES :
					       ACTIVE_PAGES));
}

/*
 * Threads, one for each place of a role
 */

static bool steps_alone(void)
{
	return !race.oracle->steps_pages || race.mutator->flags & WHOLE;
}

static const struct role *role_of(int index)
{
	static const struct role alone = { mutate_freely, 1, ANYWHERE };
	const struct role *role;

	for (role = race.oracle->roles; role->run; role++) {
		if (index < role->number)
			return role;
		index -= role->number;
	}
	return index || !steps_alone() ? NULL : &alone;
}

static void run_role(struct worker *w)
{
	__atomic_add_fetch(&started, 1, __ATOMIC_RELAXED);
	role_of(w->index)->run(w);
}

static int cpu_of_role(int index)
{
	switch (role_of(index)->where) {
	case ON_BUSY:
		return race.region.busy;
	case ON_OTHER:
		return race.region.other;
	default:
		return -1;
	}
}

/* What a sequence meets in a hole: it was aborted by now, and may end with EFAULT. */
static void in_hole(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)race.region.at;

	(void)context;
	if (!race.holes || at >= REGION_SIZE)
		sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

static void catch_holes(void)
{
	const struct sigaction action = { .sa_sigaction = in_hole, .sa_flags = SA_SIGINFO };

	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
}

static void run_round(int round)
{
	struct worker w[MAX_THREADS];
	uint64_t begin, effects = race.effects;
	int i;

	set_delay(delays[round % ARRAY_SIZE(delays)]);
	race.target = round % 2 ? race.region.busy : race.region.other;
	started = 0;
	for (nr_threads = 0; role_of(nr_threads); nr_threads++)
		;
	start_workers(w, nr_threads, run_role, &race, cpu_of_role);
	begin = now_ms();
	do {
		sleep_ms(ACTIVE_MS);
		resting = true;
		sleep_ms(REST_MS);
		resting = false;
		first_active = (first_active + ACTIVE_PAGES) % NR_PAGES;
	} while (now_ms() < begin + ROUND_MS ||
		 (race.effects == effects && now_ms() < begin + PATIENCE_MS));
	stop_workers();
	finish_workers(w, nr_threads);
	for (i = 0; i < nr_threads; i++)
		race.done += w[i].done;
	race.oracle->check(&race);
}

static void map_region(void)
{
	bool shared = race.mutator->flags & SHARED;
	struct region *r = &race.region;

	r->at = mmap(REGION_AT, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE |
		     (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS), r->fd, 0);
	assert_ptr_equal(r->at, REGION_AT);
	if (race.mutator->map)
		race.mutator->map(r);
}

static void check_rest(void)
{
	uint8_t *p;

	for (p = page_at(&race, 0) + NR_PAGES * PAGE; p < race.region.at + REGION_SIZE; p++) {
		if (*p)
			fail_msg("byte %ld, which no vector wrote, is %d",
				 (long)(p - race.region.at), *p);
	}
}

static void set_up(const struct oracle *oracle, const struct mutator *m)
{
	struct region *r = &race.region;

	race = (struct race){ .oracle = oracle, .mutator = m, .holes = m->flags & HOLES,
		.region = { .at = REGION_AT, .fd = -1, .busy = allowed_cpu(0),
			    .other = allowed_cpu(nr_allowed_cpus() - 1), .pid = getpid() } };
	if (m->flags & MACHINE && !getenv("TEST_VM"))
		skip_because("it changes the machine, and so runs only in the VM");
	if (m->flags & SHARED) {
		r->fd = memfd_create("races", MFD_CLOEXEC);
		assert_true(r->fd >= 0);
		assert_int_equal(ftruncate(r->fd, REGION_SIZE), 0);
	}
	if (m->prepare)
		m->prepare(r);
	/* It must not get a copy of the region, which would be one more mutator. */
	if (m->flags & OUTSIDE)
		start_helper();
	map_region();
	catch_holes();
	oracle->begin(&race);
}

struct pair {
	const struct oracle *oracle;
	const struct mutator *mutator;
};

static void test_race(void **state)
{
	const struct pair *pair = *state;
	uint64_t end;
	int round = 0;

	need_kernel();
	set_up(pair->oracle, pair->mutator);
	for (end = now_ms() + (uint64_t)run_ms; now_ms() < end;)
		run_round(++round);
	check_rest();
	print_message("# %lu operations, %lu steps, %lu of them with effect\n",
		      (unsigned long)race.done, (unsigned long)race.steps,
		      (unsigned long)race.effects);
	assert_true(race.effects > 0);
}

static int tear_down(void **state)
{
	(void)state;
	if (!race.mutator)
		return 0;
	stop_helper();
	munmap(REGION_AT, REGION_SIZE);
	if (race.mutator->finish)
		race.mutator->finish(&race.region);
	if (race.region.fd >= 0)
		close(race.region.fd);
	race.mutator = NULL;
	return 0;
}

#define MAX_PAIRS	128

static size_t choose(struct CMUnitTest *tests, const char *name)
{
	static struct pair pairs[MAX_PAIRS];
	static char names[MAX_PAIRS][64];
	size_t o, m, n = 0;

	for (o = 0; o < ARRAY_SIZE(oracles); o++) {
		for (m = 0; m < nr_mutators; m++) {
			if (n == MAX_PAIRS || !oracles[o]->fits(&mutators[m]))
				continue;
			snprintf(names[n], sizeof(names[n]), "test_%s_under_%s",
				 oracles[o]->name, mutators[m].name);
			if (!strstr(names[n], name))
				continue;
			pairs[n] = (struct pair){ oracles[o], &mutators[m] };
			tests[n] = (struct CMUnitTest){ names[n], test_race, NULL, tear_down,
							&pairs[n] };
			n++;
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[MAX_PAIRS];
	size_t n;

	if (argc > 1)
		run_ms = atoi(argv[1]) * 1000;
	n = choose(tests, argc > 2 ? argv[2] : "");
	if (run_ms <= 0 || !n || argc > 3) {
		fprintf(stderr, "usage: race [SECONDS [NAME]]\n");
		return 2;
	}
	return _cmocka_run_group_tests("race", tests, n, save_delay, restore_delay);
}
