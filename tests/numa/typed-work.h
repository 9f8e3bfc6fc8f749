/* SPDX-License-Identifier: MIT */
/*
 * What the threads do with one variant of the operations, and what has to come of it: a
 * template, for variants.h, included by typed.c.
 */
#define T		RSEQ_OP_T
#define NAME		RSEQ_OP_NAME

struct NAME(place) {
	T tickets, token, bits, head_word, seen, pointed;
	intptr_t list, self, to_pointed;
	T records;			/* how many have been written */
	unsigned char ring[RING][RECORD];
	struct node node[NODES];
} __attribute__((aligned(64)));

struct NAME(thread) {
	T token, bits[RSEQ_OP_CPU_MAX];
	uint64_t tickets, sum, squares;
	uint64_t pointed[RSEQ_OP_CPU_MAX];
};

static struct NAME(place) *NAME(places);
static struct NAME(thread) *NAME(threads);

static int NAME(here)(void)
{
	return RSEQ_OP_BY_CID ? rseq_op_current_cid() : rseq_op_current_cpu();
}

#define MUST(w, op, ...)						\
	do {								\
		int result = NAME(op)(__VA_ARGS__);			\
									\
		if (result)						\
			wrong(w, #op ": %d", result);			\
	} while (0)

static void NAME(draw_ticket)(struct worker *w, struct NAME(place) *p, int index)
{
	struct NAME(thread) *t = &NAME(threads)[w->index];
	T ticket = 0;
	uint64_t n;

	MUST(w, fetch_addv, &p->tickets, 1, &ticket, index);
	/* Numbers of one place are told from those of another. */
	n = (uint32_t)ticket + (uint64_t)index * 1000003;
	t->tickets++;
	t->sum += n;
	t->squares += n * n;
}

static void NAME(swap_token)(struct worker *w, struct NAME(place) *p, int index)
{
	struct NAME(thread) *t = &NAME(threads)[w->index];

	MUST(w, xchgv, &p->token, t->token, &t->token, index);
}

static void NAME(toggle_bit)(struct worker *w, struct NAME(place) *p, int index)
{
	struct NAME(thread) *t = &NAME(threads)[w->index];
	T bit = (T)1 << w->index, now = *(volatile T *)&p->bits;

	if ((now & bit) != t->bits[index])
		wrong(w, "the bit for %d is %d", index, (now & bit) != 0);
	switch (next_random(&w->random) % 3) {
	case 0:
		MUST(w, xorv, &p->bits, bit, index);
		t->bits[index] ^= bit;
		break;
	case 1:
		MUST(w, orv, &p->bits, bit, index);
		t->bits[index] |= bit;
		break;
	default:
		MUST(w, andv, &p->bits, ~bit, index);
		t->bits[index] &= ~bit;
	}
}

/* Record n says so in each byte; the word "seen" follows the number of records. */
static void NAME(write_record)(struct worker *w, struct NAME(place) *p, int index)
{
	T n = *(volatile T *)&p->records;
	unsigned char record[RECORD];
	int ret;

	memset(record, (int)((uint32_t)n * 7 + (uint32_t)index), sizeof(record));
	ret = NAME(cmpeqv_memcpy_storev)(&p->records, n, p->ring[(uint32_t)n % RING], record,
					 sizeof(record), n + 1, index);
	if (ret != 0 && ret != 1)
		wrong(w, "record: %d", ret);
	n = *(volatile T *)&p->head_word;
	ret = NAME(cmpeqv_storev_storev)(&p->head_word, n, &p->seen, n + 1, n + 1, index);
	if (ret != 0 && ret != 1)
		wrong(w, "two stores: %d", ret);
	/* The first store may be there without the second, but not the other way round. */
	ret = NAME(cmpeqv_cmpeqv_storev)(&p->head_word, n + 1, &p->seen, n, 0, index);
	if (ret != 1 && ret != 2)
		wrong(w, "two words that cannot be so: %d", ret);
}

#if RSEQ_OP_POINTERS
static void NAME(push)(struct worker *w, struct NAME(place) *p, struct node *node, int index)
{
	int ret;

	do {
		node->next = *(volatile intptr_t *)&p->list;
		ret = NAME(cmpeqv_storev)(&p->list, node->next, (intptr_t)node, index);
	} while (ret == 1);
	if (ret)
		wrong(w, "push: %d", ret);
}

/* A node goes from one place to another. */
static void NAME(move_node)(struct worker *w, struct NAME(place) *p, int index)
{
	intptr_t first = 0;
	struct node *node;
	int to = choose(w, NAME(here)());
	int ret = NAME(cmpnev_storeoffp_load)(&p->list, 0, offsetof(struct node, next), &first,
					      index);

	if (ret) {
		if (ret != 1)
			wrong(w, "pop: %d", ret);
		return;
	}
	node = (struct node *)first;
	if (__atomic_exchange_n(&node->taken, 1, __ATOMIC_RELAXED))
		wrong(w, "a node was popped twice");
	__atomic_store_n(&node->taken, 0, __ATOMIC_RELAXED);
	NAME(push)(w, &NAME(places)[to], node, to);
}

static void NAME(add_pointed)(struct worker *w, struct NAME(place) *p, int index)
{
	MUST(w, offset_deref_addv, &p->self, offsetof(struct NAME(place), to_pointed), 3, index);
	NAME(threads)[w->index].pointed[index] += 3;
}
#endif

static void NAME(work)(struct worker *w)
{
	static void (*const kinds[])(struct worker *, struct NAME(place) *, int) = {
		NAME(draw_ticket), NAME(swap_token), NAME(toggle_bit), NAME(write_record),
#if RSEQ_OP_POINTERS
		NAME(move_node), NAME(add_pointed),
#endif
	};

	while (!workers_stopping()) {
		int index = choose(w, NAME(here)());

		kinds[next_random(&w->random) % ARRAY_SIZE(kinds)](w, &NAME(places)[index],
								   index);
		w->done++;
	}
}

static void NAME(set_up)(void)
{
	int i, k, nr = rseq_op_nr_cpus();

	NAME(places) = aligned_alloc(64, (size_t)nr * sizeof(*NAME(places)));
	NAME(threads) = calloc(THREADS, sizeof(*NAME(threads)));
	assert_non_null(NAME(places));
	assert_non_null(NAME(threads));
	memset(NAME(places), 0, (size_t)nr * sizeof(*NAME(places)));
	for (i = 0; i < nr; i++) {
		struct NAME(place) *p = &NAME(places)[i];

		p->token = i + 1;
		p->self = (intptr_t)p;
		p->to_pointed = (intptr_t)&p->pointed;
		for (k = 0; k < NODES; k++) {
			p->node[k].next = p->list;
			p->list = (intptr_t)&p->node[k];
		}
	}
	for (i = 0; i < THREADS; i++)
		NAME(threads)[i].token = nr + i + 1;
}

static void NAME(check_tickets)(void)
{
	uint64_t drawn = 0, left = 0, sum = 0, squares = 0, n;
	int i, nr = rseq_op_nr_cpus();

	for (i = 0; i < THREADS; i++) {
		drawn += NAME(threads)[i].tickets;
		sum -= NAME(threads)[i].sum;
		squares -= NAME(threads)[i].squares;
	}
	for (i = 0; i < nr; i++) {
		left += (uint32_t)NAME(places)[i].tickets;
		for (n = 0; n < (uint32_t)NAME(places)[i].tickets; n++) {
			uint64_t ticket = n + (uint64_t)i * 1000003;

			sum += ticket;
			squares += ticket * ticket;
		}
	}
	assert_int_equal(left, drawn);
	assert_int_equal(sum, 0);
	assert_int_equal(squares, 0);
}

static void NAME(check_tokens)(void)
{
	int i, nr = rseq_op_nr_cpus() + THREADS;
	bool *found = calloc((size_t)nr + 1, 1);

	assert_non_null(found);
	for (i = 0; i < nr; i++) {
		T token = i < THREADS ? NAME(threads)[i].token : NAME(places)[i - THREADS].token;

		assert_in_range(token, 1, nr);
		assert_false(found[token]);
		found[token] = true;
	}
	free(found);
}

static void NAME(check_place)(int index)
{
	struct NAME(place) *p = &NAME(places)[index];
	T bits = 0, n;
	uint64_t pointed = 0;
	int i, b;

	for (i = 0; i < THREADS; i++) {
		bits |= NAME(threads)[i].bits[index];
		pointed += NAME(threads)[i].pointed[index];
	}
	assert_int_equal(p->bits, bits);
	assert_int_equal((uint64_t)p->pointed, pointed);
	assert_int_equal(p->seen, p->head_word);
	for (n = p->records - 1; n >= 0 && n >= p->records - RING; n--) {
		for (b = 0; b < RECORD; b++)
			assert_int_equal(p->ring[n % RING][b],
					 (unsigned char)((uint32_t)n * 7 + (uint32_t)index));
	}
}

static void NAME(check_list)(void)
{
	int i, nodes = 0, nr = rseq_op_nr_cpus();

	for (i = 0; i < nr; i++) {
		intptr_t at;

		for (at = NAME(places)[i].list; at && nodes <= nr * NODES; nodes++) {
			struct node *node = (struct node *)at;

			assert_int_equal(node->taken, 0);
			node->taken = 1;
			at = node->next;
		}
	}
	assert_int_equal(nodes, nr * NODES);
}

static void NAME(run)(void)
{
	struct worker w[THREADS];
	uint64_t done = 0;
	int i;

	NAME(set_up)();
	start_workers(w, THREADS, NAME(work), NULL, NULL);
	sleep_ms((int)run_ms);
	stop_workers();
	finish_workers(w, THREADS);
	for (i = 0; i < THREADS; i++)
		done += w[i].done;
	print_message("# %llu operations\n", (unsigned long long)done);
	NAME(check_tickets)();
	NAME(check_tokens)();
	for (i = 0; i < rseq_op_nr_cpus(); i++)
		NAME(check_place)(i);
	NAME(check_list)();
	free(NAME(places));
	free(NAME(threads));
}

#undef T
#undef NAME
#undef MUST
