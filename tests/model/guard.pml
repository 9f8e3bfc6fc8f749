/* SPDX-License-Identifier: MIT */
/*
 * The guard protocol (lib/guard.c) as a model: two threads with sequences share a CPU, one
 * of them with a signal handler that does a sequence too; two holders, on other CPUs or on
 * this one, run a vector each by closing the CPU, fencing, two loads and stores, and opening
 * it.
 *
 * Each adds 1 to both words. The sequences do it by one store, as a word of two halves;
 * a vector, in two steps. Checked: at the end both are what was added, whoever interleaved
 * with whom (no update is lost); a sequence never sees the halves differ (a vector is seen
 * whole); nobody waits for ever (no invalid end state).
 *
 * The kernel: who is preempted, or interrupted by a signal, inside a sequence starts over.
 * fence() makes whoever is inside one start over.
 *
 * Compile-time choices, each of which must find a counterexample, but WEAK, HERE and FORKED alone:
 *	NO_FENCE	without fence (b)
 *	WEAK		loads may pass loads: the word is loaded before the tag
 *	NO_SECOND_FENCE	with WEAK: without fence (e)
 *	NO_ABORT	preemption does not abort: what rseq(2) is for
 *	NO_CLOSE	the holder does not close the guard
 *	LATE_CLOSE	the holder closes it after the fence
 *	HERE		the holder may find itself on the CPU, and does not fence then; with
 *			EARLY_LOOK it looks before it closes
 *	SIGNALS_OPEN	the holder's signals are not blocked
 *	FORKED		a child whose guard is closed by nobody, and thread 0 forked; with
 *			NO_CHILD_HANDLER it is not opened in the child, with
 *			FORK_SIGNALS_OPEN signals are not blocked until it is
 */

#define THREADS 2
#ifndef SWITCHES
# define SWITCHES 5
#endif
#define HOLDER 2		/* which one makes no difference: it is in no sequence */

bool closed;			/* the CPU's tag */
byte left, right;		/* the data */
byte added;
byte ended;			/* of the two threads and the two holders */

byte on_cpu;			/* the thread that runs on the CPU, or HOLDER */
bool inside[THREADS + 1];			/* in a sequence: two threads, and the handler */
bool must_abort[THREADS + 1];
bool in_handler;		/* thread 0 runs its handler */
bool handler_done;
#ifdef FORKED
bool forking = true;		/* in the child, before the guard is open */
#else
bool forking;
#endif
bool thread_done[THREADS];

/* On the CPU: thread 0 itself only outside of its handler, which is number 2. */
#define RUNS(me)	(me == 2 -> (on_cpu == 0 && in_handler) : \
			 (on_cpu == me && !(me == 0 && in_handler)))

#define ABORT_ALL							\
	must_abort[0] = must_abort[0] || inside[0];			\
	must_abort[1] = must_abort[1] || inside[1];			\
	must_abort[2] = must_abort[2] || inside[2]

#ifdef FORK_SIGNALS_OPEN
#define SIGNALS	true
#else
#define SIGNALS	!forking
#endif

#define LOOK	here = (on_cpu == HOLDER)	/* at the CPU, scenario E */

inline fence()
{
	if
	:: here -> skip
	:: else -> d_step { ABORT_ALL }
	fi
}

/*
 * Preemption at any moment, SWITCHES times, and the one signal. Who has ended makes room:
 * so that what is left in the end, where nothing goes on, is a deadlock.
 */
active proctype kernel()
{
	byte switches;

end:	do
	:: atomic { (on_cpu == HOLDER || thread_done[on_cpu]) &&
		    !(thread_done[0] && thread_done[1]) ->
		    if
		    :: !thread_done[0] -> on_cpu = 0
		    :: !thread_done[1] -> on_cpu = 1
		    fi }
	:: atomic {
		switches < SWITCHES && !forking ->
		switches++;
		if
		:: on_cpu != 0 -> on_cpu = 0
		:: on_cpu != 1 -> on_cpu = 1
#ifdef HERE
		:: on_cpu != HOLDER -> on_cpu = HOLDER
#endif
		fi;
#ifndef NO_ABORT
		/* Whoever was inside a sequence starts over when it runs again. */
		ABORT_ALL;
#endif
	   }
	:: atomic {
		on_cpu == 0 && !in_handler && !handler_done && !thread_done[0] &&
		SIGNALS ->
		in_handler = true;
#ifndef NO_ABORT
		must_abort[0] = must_abort[0] || inside[0];
#endif
	   }
	od
}

/*
 * A sequence, until it has committed; a step is taken only while the thread has the CPU.
 * Tag and word are looked at in steps of their own, and anything may come between.
 */
#define OPERATION(me, l, r, early)					\
	do								\
	:: atomic { RUNS(me) -> inside[me] = true; must_abort[me] = false; \
		    early = false };					\
	   PASS(me, l, r, early)					\
	   if								\
	   :: atomic { RUNS(me) && must_abort[me] -> inside[me] = false } \
	   :: atomic { RUNS(me) && !must_abort[me] && closed ->		\
		       inside[me] = false };				\
	      !closed							\
	   :: atomic { RUNS(me) && !must_abort[me] && !closed -> skip }; \
	      if							\
	      :: atomic { RUNS(me) && must_abort[me] -> inside[me] = false } \
	      :: atomic { RUNS(me) && !must_abort[me] ->		\
			  if						\
			  :: early -> skip				\
			  :: else -> l = left; r = right		\
			  fi };						\
		 if							\
		 :: atomic { RUNS(me) && must_abort[me] -> inside[me] = false } \
		 :: atomic { RUNS(me) && !must_abort[me] ->		\
			     assert(l == r);				\
			     left = l + 1; right = r + 1;		\
			     added++; inside[me] = false; break }	\
		 fi							\
	      fi							\
	   fi								\
	od

#ifdef WEAK
#define PASS(me, l, r, early)						\
	   if								\
	   :: atomic { RUNS(me) -> l = left; r = right; early = true }	\
	   :: true							\
	   fi;
#else
#define PASS(me, l, r, early)
#endif

proctype thread(byte me)
{
	byte l, r;
	bool early;

	OPERATION(me, l, r, early);
	atomic { RUNS(me) -> thread_done[me] = true; ended++ }
}

proctype handler()
{
	byte l, r;
	bool early;

end:	in_handler;
	OPERATION(2, l, r, early);
	atomic { handler_done = true; in_handler = false }
}

proctype holder()
{
	byte l, r;
	bool here;

#ifdef LATE_CLOSE
	fence();
#endif
#ifdef EARLY_LOOK
	LOOK;
#endif
#ifndef NO_CLOSE
	atomic { !closed -> closed = true };		/* (a) */
#endif
#ifdef SIGNALS_OPEN
	if
	:: true -> !closed				/* its handler wants to close it, too */
	:: true
	fi;
#endif
#ifndef EARLY_LOOK
	LOOK;						/* (h) */
#endif
#if !defined(NO_FENCE) && !defined(LATE_CLOSE)
	fence();					/* (b) */
#endif
	l = left;
	left = l + 1;
	r = right;
	right = r + 1;
#if defined(WEAK) && !defined(NO_SECOND_FENCE)
	LOOK;
	fence();					/* (e) */
#endif
	atomic { added++; closed = false; ended++ }	/* (d) */
}

init {
#ifdef FORKED
	closed = true;		/* by a thread that the child does not have */
	run handler();
	/* Thread 0, while there is no other; not while it runs its handler. */
	atomic {
		!in_handler;
# ifndef NO_CHILD_HANDLER
		closed = false;
# endif
		forking = false
	};
#endif
	atomic {
#ifndef FORKED
		run handler();
#endif
		run thread(0); run thread(1);
		run holder(); run holder()
	};
	atomic {
		ended == 4 && !in_handler ->
		assert(left == right && left == added)
	}
}
