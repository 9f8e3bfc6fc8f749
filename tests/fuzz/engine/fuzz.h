/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_H
#define FUZZ_H

/*
 * Differential fuzzing of cpu_opv(2): the same vectors, on the same memory, by an
 * executor (the kernel, or the library) and by the reference interpreter.
 *
 *	random.c	numbers, the same in every run of a seed
 *	ops.c		what fields an operation has
 *	layout.c	memory of many kinds, and a shadow of it
 *	generate.c	vectors: made, mutated, or nonsense
 *	execute.c	who runs them
 *	oracle.c	what must come out, and whether it did
 *	text.c		a vector as text, and back
 *	inject.c	failing allocations and copies, and leaks
 *	run.c		rounds of vectors: a round has one layout
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rseq_op/rseq_op.h>

#ifndef ARRAY_SIZE
# define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/* random.c */
struct random {
	uint64_t state;
};
uint64_t mix(uint64_t a, uint64_t b);
uint64_t random64(struct random *r);
/* 0 to n - 1; n is not 0. */
uint32_t below(struct random *r, uint32_t n);
/* True n times of of. */
bool chance(struct random *r, uint32_t n, uint32_t of);

/*
 * ops.c: the layout of struct cpu_op as all operations share it, and which of the
 * fields an operation has.
 */
enum field { NO_FIELD, ADDRESS, NUMBER, SHIFT };

struct args {
	uint64_t arg[2];
	uint8_t expect_fault[2];
	uint8_t zero[6];
};

struct form {
	const char *name;
	enum field field[2];
	const char *field_name[2];
	bool word;		/* len is 1, 2, 4 or 8 */
	bool aligned;		/* and operands are aligned */
	bool stores;		/* to the first argument */
	bool compares;
};

extern const struct form forms[NR_CPU_OPS];
/* NULL for an operation that is none. */
const struct form *form_of(const struct cpu_op *op);
struct args *args_of(struct cpu_op *op);
const struct args *const_args_of(const struct cpu_op *op);

/* More than the longest vector. */
#define CALL_OPS	32

/* A call with all its arguments. */
struct call {
	struct cpu_op ops[CALL_OPS];
	uint32_t nr_ops;
	int32_t cpu;
	uint32_t flags;
	uint32_t high;		/* upper half of the registers of the three above */
	bool placed;		/* the vector lies at, else in memory of its own */
	uint64_t at;
};

/*
 * layout.c: the territory is where addresses of vectors point to, at the same place
 * in every process. All of it outside an arena is a hole. The shadow holds what the
 * territory must hold, byte for byte at the same distance.
 */
#define PAGE		UINT64_C(4096)
#ifdef __LP64__
# define TERRITORY	UINT64_C(0x100000000000)
#else
# define TERRITORY	UINT64_C(0x20000000)
#endif
#define TERRITORY_PAGES	1536U
#define TERRITORY_SIZE	(TERRITORY_PAGES * PAGE)
#define MAX_ARENAS	16

enum kind {
	HOLE, PRIVATE, UNTOUCHED, READ_ONLY, NO_ACCESS, WRITE_ONLY, SHARED, MEMFD,
	MEMFD_READ_ONLY, PRIVATE_FILE, SHORT_FILE, BEYOND_EOF, ALIAS, HUGE, SECRET,
	NR_KINDS
};

/* Whose rules decide what is accessible: those of the program hold for the emulation. */
enum rules { KERNEL_RULES, USER_RULES };

/* STORE_ANY: also by a vector that makes more stores than one aligned word, last. */
enum right { READ = 1, STORE_WORD = 2, STORE_ANY = 4 };

struct page {
	uint8_t kind;
	bool watched;		/* looking at it changes nothing: somebody did before */
	uint16_t frame;		/* of an alias, the page that it shows; else the page */
};

struct arena {
	enum kind kind;
	unsigned int first, nr;
	int fd;
	uint8_t *file;		/* what the file of PRIVATE_FILE holds */
};

struct layout {
	struct page pages[TERRITORY_PAGES];
	struct arena arenas[MAX_ARENAS];
	unsigned int nr_arenas;
	uint8_t *shadow;
	int shadow_fd;
};

extern struct layout layout;

/* NULL, or why it cannot be. */
const char *layout_init(void);
void layout_make(uint64_t seed);
void layout_remove(void);
const char *name_of_kind(enum kind kind);
const char *kind_name(uint64_t addr);
const struct page *page_at(uint64_t addr);
/* Is every byte of the range in pages with that right? The program's, or by rules. */
bool user_may(uint64_t addr, uint64_t len, enum right right);
bool vector_may(uint64_t addr, uint64_t len, enum right right, enum rules rules);
uint8_t *shadow_at(uint64_t addr);
/* Store in the territory and in its shadow; the range is writable. */
void layout_write(uint64_t addr, const void *buf, size_t len);
/* The program or a vector may have touched these pages. */
void layout_watch(uint64_t addr, uint64_t len);
/* Change the state of pages between vectors, and their contents where shown. */
void layout_disturb(struct random *r);
/* Print what differs, at most four bytes; all: also what was never watched. */
bool layout_same(bool all);

/* generate.c */
struct corpus {
	struct call calls[64];
	unsigned int nr;
};
void corpus_add(struct corpus *corpus, struct random *r, const struct call *call);
void generate(struct call *call, struct random *r, const struct corpus *corpus, bool raw);
/* Nothing that is mapped outside the territory: it would be the program's own. */
void fold_addresses(struct call *call);

/* execute.c */
enum executor { EXECUTOR_KERNEL, EXECUTOR_EMULATION, EXECUTOR_LIBRARY, NR_EXECUTORS };
extern const char *const executor_names[NR_EXECUTORS];
/* How an executor is made to lie, to see that it is noticed. */
enum lie { NO_LIE, LIE_RESULT, LIE_ERRNO, LIE_BYTE, LIE_NEIGHBOUR, LIE_NR };
void execute_init(void);
bool have_kernel(void);
enum rules executor_rules(enum executor executor);
/*
 * Put the vector where it belongs; the place, and what a reader finds there. The kernel
 * copies one that is not aligned with a function that can be made to fail.
 */
uint64_t execute_place(const struct call *call, bool aligned);
/* The result, or -errno. */
int execute(enum executor executor, const struct call *call, uint64_t at, enum lie lie);
/* Was the vector itself left alone? */
bool execute_vector_same(void);

/* oracle.c */
struct verdict {
	int result;		/* expected, or of a vector that runs 0 */
	bool runs;
	struct cpu_op ops[CPU_OP_VEC_LEN_MAX];	/* as found in memory */
};
void judge(struct verdict *verdict, const struct call *call, uint64_t at,
	   enum executor executor);
/* Carry out in the shadow what runs; fails, after saying why, on a difference. */
bool result_right(struct verdict *verdict, const struct call *call, int result,
		  bool injected);

/* text.c */
/* Keep what the operands hold before a call, for print_call(). */
void remember_memory(const struct call *call);
void print_call(FILE *f, const char *prefix, const struct call *call, uint64_t layout_seed);
/* Make the layout and the call of a text; NULL, or what is wrong with it. */
const char *parse_call(FILE *f, struct call *call, uint64_t *layout_seed);
#define TEXT_PREFIX	"#| "
/* The errno, or the number. */
const char *result_name(int result);

/*
 * inject.c: failing allocations and copies in the calls between begin and end. NULL,
 * or why it cannot be.
 */
const char *inject_init(void);
void inject_begin(void);
void inject_end(void);
void inject_finish(void);

#define MAX_SLABS	96

/* What a call that keeps something would let grow. */
struct totals {
	long pinned;		/* pages */
	unsigned int nr_slabs;
	struct {
		char name[32];
		long objects;
	} slabs[MAX_SLABS];
};

const char *totals_read(struct totals *totals);
/* Say what was kept; of objects, up to the limit may be other tasks'. */
bool totals_same(const struct totals *before, const struct totals *after, long limit);

/* run.c */
#define ROUND_VECTORS	1024

struct options {
	enum executor executor;
	uint64_t seed, first, count;
	unsigned int seconds;	/* 0: no limit */
	bool raw, inject, progress, print;
	enum lie lie;
};

/* What the calls returned. */
struct stats {
	uint64_t vectors, ran, stopped, answered, einval, efault, eagain, other;
	uint64_t refused;	/* that would have run, but for a failure injected */
	/* In vectors that ran to their end: operations, and what operands lay in. */
	uint64_t completed[NR_CPU_OPS], used[NR_KINDS];
	bool different;
};

void run_init(void);
/* Which vector runs, or ran last; a parent may ask, too. */
uint64_t run_index(void);
/* Stop at the first difference, after saying which seed and vector it is. */
void run_vectors(const struct options *options, struct stats *stats);
/* Run one on the layout of that seed. */
void run_replay(const struct options *options, const struct call *call, uint64_t layout_seed,
		struct stats *stats);
void print_stats(const struct stats *stats);

#endif /* FUZZ_H */
