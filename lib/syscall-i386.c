// SPDX-License-Identifier: MIT
/*
 * System calls with six arguments on 32-bit x86. The sixth one is in ebp, which may be the frame
 * pointer of the caller. A thread that is cancelled asynchronously within the call is unwound from
 * there, so the unwinder must know where the registers of the caller are: an asm statement in a C
 * function cannot tell it.
 */
#ifdef __i386__
#include "internal.h"

__asm__ (
	".pushsection .text\n\t"
	".globl	raw_syscall6\n\t"
	".hidden raw_syscall6\n\t"
	".type	raw_syscall6, @function\n"
	"raw_syscall6:\n\t"
	".cfi_startproc\n\t"
	"pushl	%ebp\n\t"
	".cfi_adjust_cfa_offset 4\n\t"
	".cfi_rel_offset ebp, 0\n\t"
	"pushl	%edi\n\t"
	".cfi_adjust_cfa_offset 4\n\t"
	".cfi_rel_offset edi, 0\n\t"
	"pushl	%esi\n\t"
	".cfi_adjust_cfa_offset 4\n\t"
	".cfi_rel_offset esi, 0\n\t"
	"pushl	%ebx\n\t"
	".cfi_adjust_cfa_offset 4\n\t"
	".cfi_rel_offset ebx, 0\n\t"
	"movl	20(%esp), %eax\n\t"
	"movl	24(%esp), %ebx\n\t"
	"movl	28(%esp), %ecx\n\t"
	"movl	32(%esp), %edx\n\t"
	"movl	36(%esp), %esi\n\t"
	"movl	40(%esp), %edi\n\t"
	"movl	44(%esp), %ebp\n\t"
	"int	$0x80\n\t"
	"popl	%ebx\n\t"
	".cfi_adjust_cfa_offset -4\n\t"
	".cfi_restore ebx\n\t"
	"popl	%esi\n\t"
	".cfi_adjust_cfa_offset -4\n\t"
	".cfi_restore esi\n\t"
	"popl	%edi\n\t"
	".cfi_adjust_cfa_offset -4\n\t"
	".cfi_restore edi\n\t"
	"popl	%ebp\n\t"
	".cfi_adjust_cfa_offset -4\n\t"
	".cfi_restore ebp\n\t"
	"ret\n\t"
	".cfi_endproc\n\t"
	".size	raw_syscall6, . - raw_syscall6\n\t"
	".popsection"
);
#endif
