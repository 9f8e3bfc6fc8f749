/* SPDX-License-Identifier: MIT */
#ifndef SYSCALL_H
#define SYSCALL_H

/*
 * System calls that do not go through libc.
 *
 * libc reports an error in errno. A signal handler may change errno between the system call
 * and the moment when the caller reads errno. The kernel reports an error in the register
 * that holds the result, which the kernel saves and restores around a signal handler. So a
 * call from here returns the right result whatever a handler does, and leaves errno alone.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#ifdef __i386__
/* syscall-i386.c */
long raw_syscall6(long nr, long a, long b, long c, long d, long e, long f);
#endif

/* Returns what the kernel returns: a negative number is -errno, but see raw_failed(). */
static inline long raw_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile ("syscall"
		: "+a" (nr)
		: "D" (a), "S" (b), "d" (c), "r" (r10), "r" (r8), "r" (r9)
		: "rcx", "r11", "cc", "memory");
	return nr;
#elif defined(__i386__)
	/* Of the calls of the library, these have a sixth argument. */
	if (!__builtin_constant_p(nr) || nr == SYS_mmap2 || nr == SYS_futex || nr == SYS_mbind)
		return raw_syscall6(nr, a, b, c, d, e, f);
	__asm__ volatile ("int $0x80"
		: "+a" (nr)
		: "b" (a), "c" (b), "d" (c), "S" (d), "D" (e)
		: "cc", "memory");
	return nr;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile ("svc 0"
		: "+r" (x0)
		: "r" (x8), "r" (x1), "r" (x2), "r" (x3), "r" (x4), "r" (x5)
		: "cc", "memory");
	return x0;
#else
# error "rseq_op: no system calls for this architecture"
#endif
}

/*
 * Starts a thread that shares everything with its maker, the thread pointer too, and calls
 * fn(arg) on a stack of its own. The function must not return. *tid is the ID of the thread
 * until the kernel clears it, and wakes a futex there, when the thread has ended.
 *
 * stack is the upper end of the memory, aligned to 16 bytes. Returns the ID, or -errno.
 */
static inline long raw_clone(long flags, char *stack, _Atomic int *tid, void (*fn)(void *arg),
			     void *arg)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	register long r10 __asm__("r10") = (long)tid;
	long ret = SYS_clone;

	__asm__ volatile ("syscall\n\t"
			  "test %%rax, %%rax\n\t"
			  "jnz 1f\n\t"
			  "mov %[arg], %%rdi\n\t"
			  "call *%[fn]\n"
			  "1:"
		: "+a" (ret)
		: "D" (flags), "S" (stack), "d" (tid), "r" (r10), [fn] "r" (fn), [arg] "r" (arg)
		: "rcx", "r11", "cc", "memory");
	return ret;
#elif defined(__i386__)
	void **top = (void **)stack - 5;
	long ret = SYS_clone;

	top[0] = (void *)fn;
	top[1] = arg;		/* aligned to 16 bytes, where the function looks for it */
	__asm__ volatile ("int $0x80\n\t"
			  "test %%eax, %%eax\n\t"
			  "jnz 1f\n\t"
			  "pop %%eax\n\t"
			  "call *%%eax\n"
			  "1:"
		: "+a" (ret)
		: "b" (flags), "c" (top), "d" (tid), "D" (tid)
		: "cc", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_clone;
	register long x0 __asm__("x0") = flags;
	register long x1 __asm__("x1") = (long)stack;
	register long x2 __asm__("x2") = (long)tid;
	register long x4 __asm__("x4") = (long)tid;

	__asm__ volatile ("svc 0\n\t"
			  "cbnz x0, 1f\n\t"
			  "mov x0, %[arg]\n\t"
			  "blr %[fn]\n"
			  "1:"
		: "+r" (x0)
		: "r" (x8), "r" (x1), "r" (x2), "r" (x4), [fn] "r" (fn), [arg] "r" (arg)
		: "cc", "memory");
	return x0;
#endif
}

/*
 * Read from a file at an offset below 2 GiB. Not read(2): a signal handler may fork at any time, and
 * parent and child share the position of a file.
 */
static inline long raw_pread(long fd, char *buf, long size, long offset)
{
	return raw_syscall(SYS_pread64, fd, (long)buf, size, offset, 0, 0);
}

/* Is the result an error, where a good result may be negative? Some addresses on i386 are. */
static inline bool raw_failed(long ret)
{
	return (unsigned long)ret >= -4095UL;
}

#endif /* SYSCALL_H */
