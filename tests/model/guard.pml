/* SPDX-License-Identifier: MIT */
/*
 * The guard protocol (lib/guard.c) as a model. Two threads with sequences share a CPU; a signal
 * handler of one of them runs a sequence, too. Two more threads, on other CPUs or on this one, run a
 * vector each: they take the lock, close the guard, fence, load and store twice, open the guard and
 * give the lock back. A sequence that finds the guard closed either starts over or runs as a
 * vector.
 *
 * Each adds 1 to both words. A sequence does so by one store, as a word of two halves; a vector in
 * two steps. Checked: at the end both words are the sum of what was added, whoever interleaved with
 * whom (no update is lost); no sequence sees the halves differ (a vector is seen whole); nobody
 * waits for ever (no invalid end state).
 *
 * The kernel: a thread that is preempted, or interrupted by a signal, inside a sequence starts over.
 * fence() makes every thread that is inside a sequence start over.
 *
 * Compile-time choices. WEAK, HERE, DIES and FORKED alone are variants of the protocol; each of the
 * others must find a counterexample:
 *	NO_FENCE	without fence (b)
 *	WEAK		loads may pass loads: the word is loaded before the tag
 *	NO_SECOND_FENCE	with WEAK: without fence (e)
 *	NO_ABORT	preemption does not abort: what rseq(2) is for
 *	NO_CLOSE	the owner does not close the guard
 *	LATE_CLOSE	the owner closes it after the fence
 *	HERE		the owner may find itself on the CPU, and does not fence then; with
 *			EARLY_LOOK it looks before it closes
 *	SIGNALS_OPEN	the signals of a thread that runs a vector are not blocked
 *	DIES		one more thread takes the lock and dies, before or after it has closed the
 *			guard, or after its fence or its vector; with NOT_TAKEN_OVER the lock of a dead owner is
 *			not taken over, with NOT_FENCED_AGAIN the next owner does not fence where it finds
 *			the guard closed
 *	FORKED		a child of fork(): the guard was closed by a thread that does not exist there
 */

#define THREADS 2
#ifndef SWITCHES
# define SWITCHES 4
#endif
#define OWNER 2			/* on_cpu: one of those that run vectors, no matter which */

/* Who has the lock. */
#define NOBODY	0
#define DEAD	9

byte lock = NOBODY;
bool closed;			/* the CPU's tag */
byte left, right;		/* the data */
byte added;
byte ended;

byte on_cpu;			/* the thread that runs on the CPU, or OWNER */
bool inside[THREADS + 1];	/* in a sequence: two threads, and the handler */
bool must_abort[THREADS + 1];
bool in_handler;		/* thread 0 runs its handler */
bool blocked;			/* thread 0 has blocked its signals */
bool handler_done;
bool thread_done[THREADS];

/* On the CPU: thread 0 itself only outside of its handler, which is number 2. */
#define RUNS(me)	(me == 2 -> (on_cpu == 0 && in_handler) : \
			 (on_cpu == me && !(me == 0 && in_handler)))

#define ABORT_ALL							\
	must_abort[0] = must_abort[0] || inside[0];			\
	must_abort[1] = must_abort[1] || inside[1];			\
	must_abort[2] = must_abort[2] || inside[2]

#ifdef NOT_TAKEN_OVER
# define IS_FREE	(lock == NOBODY)
#else
# define IS_FREE	(lock == NOBODY || lock == DEAD)
#endif

inline fence()
{
	d_step { ABORT_ALL }
}

#define LOOK	here = (on_cpu == OWNER)	/* at the CPU, scenario E */

/*
 * Preemption at any moment, SWITCHES times, and the one signal. A thread that has ended makes room:
 * so that what is left in the end, where nothing goes on, is a deadlock.
 */
active proctype kernel()
{
	byte switches;

end:	do
	:: atomic { (on_cpu == OWNER || thread_done[on_cpu]) &&
		    !(thread_done[0] && thread_done[1]) ->
		    if
		    :: !thread_done[0] -> on_cpu = 0
		    :: !thread_done[1] -> on_cpu = 1
		    fi }
	:: atomic {
		switches < SWITCHES ->
		switches++;
		if
		:: on_cpu != 0 -> on_cpu = 0
		:: on_cpu != 1 -> on_cpu = 1
#ifdef HERE
		:: on_cpu != OWNER -> on_cpu = OWNER
#endif
		fi;
#ifndef NO_ABORT
		/* A thread that was inside a sequence starts over when it runs again. */
		ABORT_ALL;
#endif
	   }
	:: atomic {
		on_cpu == 0 && !in_handler && !handler_done && !thread_done[0] && !blocked ->
		in_handler = true;
#ifndef NO_ABORT
		must_abort[0] = must_abort[0] || inside[0];
#endif
	   }
	od
}

/*
 * A vector: the thread may be anywhere, and be preempted at any step, which makes no difference to it.
 * Thread 0 does not go on while it runs its handler. may_be_here: it may find itself on the CPU.
 */
#define GOES_ON(me)	(me != 0 || !in_handler)

#define VECTOR(me, id, l, r, here, was_closed, may_be_here)		\
	EARLY_CLOSE(id, was_closed, may_be_here)			\
	LOOK_AT_CPU(may_be_here);					\
	FIRST_FENCE;							\
	LATE_CLOSE_(id, was_closed)					\
	l = left;							\
	left = l + 1;							\
	r = right;							\
	right = r + 1;							\
	SECOND_FENCE(may_be_here);					\
	atomic { GOES_ON(me) -> added++; closed = false };	/* (d) */ \
	lock = NOBODY

#ifdef NO_CLOSE
# define CLOSE(was_closed)	skip
#else
# define CLOSE(was_closed)	was_closed = closed; closed = true	/* (a) */
#endif
#define TAKE(id)	atomic { IS_FREE -> lock = id }
#ifdef LATE_CLOSE
# define EARLY_CLOSE(id, was_closed, may_be_here)	TAKE(id);
# define LATE_CLOSE_(id, was_closed)	atomic { CLOSE(was_closed) };
#elif defined(EARLY_LOOK)
# define EARLY_CLOSE(id, was_closed, may_be_here)	TAKE(id); here = may_be_here && (on_cpu == OWNER);	\
	atomic { CLOSE(was_closed) };
# define LATE_CLOSE_(id, was_closed)
#else
# define EARLY_CLOSE(id, was_closed, may_be_here)	TAKE(id); atomic { CLOSE(was_closed) };
# define LATE_CLOSE_(id, was_closed)
#endif
#ifdef EARLY_LOOK
# define LOOK_AT_CPU(may_be_here)	skip
#else
# define LOOK_AT_CPU(may_be_here)	here = may_be_here && (on_cpu == OWNER)	/* (h) */
#endif
#ifdef NO_FENCE
# define FIRST_FENCE	skip
#elif defined(NOT_FENCED_AGAIN)
# define FIRST_FENCE						\
	if							\
	:: here || was_closed -> skip				\
	:: else -> fence()					\
	fi
#else
# define FIRST_FENCE						\
	if							\
	:: here && !was_closed -> skip				\
	:: else -> fence()			/* (b), (k) */	\
	fi
#endif
#if defined(WEAK) && !defined(NO_SECOND_FENCE)
# define SECOND_FENCE(may_be_here)				\
	here = may_be_here && (on_cpu == OWNER);		\
	if							\
	:: here -> skip						\
	:: else -> fence()			/* (e) */	\
	fi
#else
# define SECOND_FENCE(may_be_here)	skip
#endif

/*
 * A sequence, until it has committed; a step is taken only while the thread has the CPU.
 * Tag and word are looked at in steps of their own, and anything may come between.
 */
#define OPERATION(me, l, r, early, here, was_closed)			\
	do								\
	:: atomic { RUNS(me) -> inside[me] = true; must_abort[me] = false; \
		    early = false };					\
	   PASS(me, l, r, early)					\
	   if								\
	   :: atomic { RUNS(me) && must_abort[me] -> inside[me] = false } \
	   :: atomic { RUNS(me) && !must_abort[me] && closed ->		\
		       inside[me] = false };				\
	      if							\
	      :: !closed						\
	      :: atomic { RUNS(me) -> BLOCK(me) };			\
		 VECTOR(me, 1, l, r, here, was_closed, false);	\
		 UNBLOCK(me);						\
		 break							\
	      fi							\
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

#ifdef SIGNALS_OPEN
# define BLOCK(me)	skip
# define UNBLOCK(me)	skip
#else
# define BLOCK(me)	blocked = blocked || me == 0
# define UNBLOCK(me)	blocked = blocked && me != 0
#endif

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
	bool early, here, was_closed;

	OPERATION(me, l, r, early, here, was_closed);
	atomic { RUNS(me) -> thread_done[me] = true; ended++ }
}

proctype handler()
{
	byte l, r;
	bool early, here, was_closed;

end:	in_handler;
	OPERATION(2, l, r, early, here, was_closed);
	atomic { handler_done = true; in_handler = false }
}

proctype owner()
{
	byte l, r;
	bool here, was_closed;

	VECTOR(3, 2, l, r, here, was_closed, true);
	ended++
}

/* An owner that dies. Its vector is done whole or not at all: what is cut off is its own loss. */
proctype mortal()
{
	byte l, r;
	bool here, was_closed;

	TAKE(3);
	if
	:: true
	:: atomic { CLOSE(was_closed) };
	   if
	   :: true
	   :: FIRST_FENCE;
	      if
	      :: true
	      :: l = left;
		 left = l + 1;
		 r = right;
		 atomic { right = r + 1; added++ }
	      fi
	   fi
	fi;
	atomic { lock = DEAD; ended++ }
}

#ifdef DIES
# define ALL	5
#else
# define ALL	4
#endif

init {
#ifdef FORKED
	atomic { closed = true; lock = DEAD };
#endif
	atomic {
		run handler();
		run thread(0); run thread(1);
		run owner();
#ifdef DIES
		run mortal();
#endif
		run owner()
	};
	atomic {
		ended == ALL && !in_handler ->
		assert(left == right && left == added)
	}
}
