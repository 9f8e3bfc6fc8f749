/* SPDX-License-Identifier: MIT */
/*
 * Leases (lib/guard.c, scenario F) as a model. A thread with sequences has a CPU. Two threads
 * elsewhere, T1 and T2, lease the CPU's guard, each for a sequence of its own. A signal handler that
 * interrupts T1 anywhere runs a vector for the CPU; so does one more thread, S, and every thread that
 * finds the guard closed or its lease gone. The handler may leave T1 where it is for ever, by
 * siglongjmp(), or T1 be stopped by a debugger.
 *
 * Each adds 1 to both words: a sequence by one store, as a word of two halves; a vector in two
 * steps. Checked: at the end both words are the sum of what was added (no update is lost); no sequence
 * sees the halves differ (a vector is seen whole); nobody waits for ever (no invalid end state).
 *
 * The kernel: a thread that is preempted or interrupted inside a sequence starts over. fence_cpu()
 * makes the sequence on the CPU start over, fence_all() each.
 *
 * Compile-time choices. WEAK, DIES and FENCE_ONE alone are variants of the protocol; each of the others
 * must find a counterexample:
 *	NOT_COMPARED	a sequence by lease does not look at the tag
 *	NO_LEASE_FENCE	without fence (b) after the lease
 *	NO_TAKER_FENCE	a thread that closes the guard over a lease fences the CPU alone
 *	ENDED_BLINDLY	a lease is ended whether it is still there or not
 *	SAME_LEASE	those of T1 and T2 do not differ
 *	NOT_TAKEN	nobody closes the guard over a lease
 *	WEAK		loads may pass loads: the word is loaded before the tag; with
 *			NO_SECOND_FENCE, without fence (e) before a lease is ended
 *	DIES		one more owner of the lock dies after it has closed the guard; with
 *			NOT_FENCED_AGAIN, the next owner takes a closed guard for one that nobody had leased
 *	FENCE_ONE	one more thread waits for the sequences of the CPU, as rseq_op_fence() does: none that
 *			began before commits after the fence; with LOCK_FIRST it looks at the lock before it
 *			looks for a lease
 * ALONE leaves T2 out, and PREEMPTIONS limits their number, to be done in seconds.
 */

#ifndef PREEMPTIONS
# define PREEMPTIONS 2
#endif

#define OPEN	0
#define CLOSED	3
#ifdef SAME_LEASE
# define LEASE(me)	1
#else
# define LEASE(me)	me
#endif

#define NOBODY	0
#define SOMEBODY 1
#define DEAD	2

byte lock = NOBODY;
byte tag = OPEN;
byte left, right;		/* the data */
byte added;
byte ended;
#ifdef ALONE
# define LEASERS 1
#else
# define LEASERS 2
#endif
#if defined(DIES) || defined(FENCE_ONE)
# define ALL	(LEASERS + 4)
#else
# define ALL	(LEASERS + 3)
#endif

/* 0: the sequence on the CPU; 1, 2: those of T1 and T2 */
bool inside[3];
bool must_abort[3];
bool is_older[3];		/* than the fence */
bool fence_over;

#define COMMITS(me)	assert(!(fence_over && is_older[me]))

bool blocked;			/* T1's signals */
bool in_handler;
bool gone;			/* T1 does not go on */
bool t1_ended;

#define RUNS(me)	(me != 1 || !in_handler)

inline fence_cpu()
{
	d_step { must_abort[0] = must_abort[0] || inside[0] }
}

inline fence_all()
{
	d_step {
		must_abort[0] = must_abort[0] || inside[0];
		must_abort[1] = must_abort[1] || inside[1];
		must_abort[2] = must_abort[2] || inside[2]
	}
}

#ifdef NOT_TAKEN
# define MAY_CLOSE	(tag == OPEN || tag == CLOSED)
#else
# define MAY_CLOSE	true
#endif

#ifdef NOT_FENCED_AGAIN
# define MAY_BE_LEASED	(tag != OPEN && tag != CLOSED)
#else
# define MAY_BE_LEASED	(tag != OPEN)
#endif

/* A vector. The thread that runs it has blocked its signals. */
inline vector(l, r, over)
{
	atomic { lock != SOMEBODY -> lock = SOMEBODY };
	atomic { MAY_CLOSE -> over = MAY_BE_LEASED; tag = CLOSED };	/* (a), (j) */
	if
#ifndef NO_TAKER_FENCE
	:: over -> fence_all()						/* (k) */
	:: else -> fence_cpu()						/* (b) */
#else
	:: true -> fence_cpu()
#endif
	fi;
	l = left;
	left = l + 1;
	r = right;
	right = r + 1;
#ifdef WEAK
	fence_cpu();							/* (e) */
#endif
	atomic { added++; tag = OPEN };					/* (d) */
	lock = NOBODY
}

/* Preemption of whoever is inside a sequence. */
active proctype kernel()
{
	byte preemptions;

end:	do
	:: atomic { preemptions < PREEMPTIONS && inside[0] && !must_abort[0] ->
		    preemptions++; must_abort[0] = true }
	:: atomic { preemptions < PREEMPTIONS && inside[1] && !must_abort[1] ->
		    preemptions++; must_abort[1] = true }
	:: atomic { preemptions < PREEMPTIONS && inside[2] && !must_abort[2] ->
		    preemptions++; must_abort[2] = true }
	od
}

proctype sequence()
{
	byte l, r;
	bool early, over;

	do
	:: atomic { inside[0] = true; must_abort[0] = false; early = false; is_older[0] = false };
#ifdef WEAK
	   if
	   :: atomic { l = left; r = right; early = true }
	   :: true
	   fi;
#endif
	   if
	   :: atomic { must_abort[0] -> inside[0] = false }
	   :: atomic { !must_abort[0] && tag != OPEN -> inside[0] = false };
	      vector(l, r, over);
	      break
	   :: atomic { !must_abort[0] && tag == OPEN -> skip };		/* (c) */
	      if
	      :: atomic { must_abort[0] -> inside[0] = false }
	      :: atomic { !must_abort[0] ->
			  if
			  :: early -> skip
			  :: else -> l = left; r = right
			  fi };
		 if
		 :: atomic { must_abort[0] -> inside[0] = false }
		 :: atomic { !must_abort[0] ->
			     assert(l == r); COMMITS(0);
			     left = l + 1; right = r + 1;
			     added++; inside[0] = false };
		    break
		 fi
	      fi
	   fi
	od;
	ended++
}

/* T1, T2 */
proctype leaser(byte me)
{
	byte l, r;
	bool early, over, done;

	if
	:: atomic { RUNS(me) && tag == OPEN -> tag = LEASE(me) };		/* (a) */
#ifndef NO_LEASE_FENCE
	   RUNS(me);
	   fence_cpu();							/* (b) */
#endif
	   do
	   :: atomic { RUNS(me) -> inside[me] = true; must_abort[me] = false;
		       early = false; is_older[me] = false };
#ifdef WEAK
	      if
	      :: atomic { RUNS(me) -> l = left; r = right; early = true }
	      :: RUNS(me)
	      fi;
#endif
	      if
	      :: atomic { RUNS(me) && must_abort[me] -> inside[me] = false }
#ifdef NOT_COMPARED
	      :: atomic { RUNS(me) && !must_abort[me] -> l = left; r = right };
#else
	      :: atomic { RUNS(me) && !must_abort[me] && tag != LEASE(me) ->
			  inside[me] = false };
		 break
	      :: atomic { RUNS(me) && !must_abort[me] && tag == LEASE(me) ->	/* (i) */
			  skip };
		 if
		 :: atomic { RUNS(me) && must_abort[me] -> skip }
		 :: atomic { RUNS(me) && !must_abort[me] ->
			     if
			     :: early -> skip
			     :: else -> l = left; r = right
			     fi }
		 fi;
#endif
		 if
		 :: atomic { RUNS(me) && must_abort[me] -> inside[me] = false }
		 :: atomic { RUNS(me) && !must_abort[me] ->
			     assert(l == r); COMMITS(me);
			     left = l + 1; right = r + 1;
			     added++; inside[me] = false; done = true };
		    break
		 fi
	      fi
	   od;
#if defined(WEAK) && !defined(NO_SECOND_FENCE)
	   RUNS(me);
	   fence_cpu();							/* (e) */
#endif
	   atomic {							/* (d) */
		RUNS(me);
		if
#ifdef ENDED_BLINDLY
		:: tag = OPEN
#else
		:: tag == LEASE(me) -> tag = OPEN
		:: else
#endif
		fi
	   }
	:: atomic { RUNS(me) && tag != OPEN }
	fi;
	if
	:: done -> skip
	:: else ->
	   atomic { RUNS(me) -> blocked = blocked || me == 1 };
	   vector(l, r, over);
	   atomic { blocked = blocked && me != 1 }
	fi;
	atomic { RUNS(me) -> ended++; t1_ended = t1_ended || me == 1 }
}

proctype handler()
{
	byte l, r;
	bool over;

	atomic { !blocked -> in_handler = true; must_abort[1] = must_abort[1] || inside[1] };
	vector(l, r, over);
	if
	:: in_handler = false
	:: !t1_ended -> gone = true
	fi;
	ended++
}

proctype other()
{
	byte l, r;
	bool over;

	vector(l, r, over);
	ended++
}

#ifdef FENCE_ONE
#define LOOK_FOR_LEASE	wait = wait || (tag != OPEN && tag != CLOSED)
#define LOOK_AT_LOCK	wait = wait || lock != NOBODY

proctype fencer()
{
	bool wait, over;

	d_step { is_older[0] = inside[0]; is_older[1] = inside[1]; is_older[2] = inside[2] };
	fence_cpu();
#ifdef LOCK_FIRST
	LOOK_AT_LOCK;
	LOOK_FOR_LEASE;
#else
	LOOK_FOR_LEASE;
	LOOK_AT_LOCK;
#endif
	if
	:: !wait
	:: else ->		/* an empty vector */
	   atomic { lock != SOMEBODY -> lock = SOMEBODY };
	   atomic { over = MAY_BE_LEASED; tag = CLOSED };
	   if
	   :: over -> fence_all()
	   :: else -> fence_cpu()
	   fi;
	   tag = OPEN;
	   lock = NOBODY
	fi;
	atomic { fence_over = true; ended++ }
}
#endif

#ifdef DIES
proctype mortal()
{
	atomic { lock != SOMEBODY -> lock = SOMEBODY };
	if
	:: true
	:: tag = CLOSED;
	   if
	   :: true
	   :: fence_all()
	   fi
	fi;
	atomic { lock = DEAD; ended++ }
}
#endif

init {
	atomic {
#ifdef DIES
		run mortal();
#endif
#ifdef FENCE_ONE
		run fencer();
#endif
		run sequence(); run leaser(1); run handler(); run other();
#ifndef ALONE
		run leaser(2)
#endif
	};
	/* The guard is open; or leased to a thread that has gone, or left closed: anybody can close it. */
	atomic {
		ended == ALL || (ended == ALL - 1 && gone) ->
		assert(left == right && left == added && (tag != CLOSED || lock == DEAD))
	};
	do		/* all is well, though T1 may be where it is for ever */
	:: gone = !gone; gone = !gone
	od
}
