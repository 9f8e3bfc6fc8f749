/* SPDX-License-Identifier: MIT */
#ifndef USDT_H
#define USDT_H

/*
 * USDT(name, arguments...): a probe for debuggers and tracers, a nop. <sys/sdt.h> comes with
 * systemtap-sdt-dev; where that is not installed there are no probes.
 */
#ifdef __has_include
# if __has_include(<sys/sdt.h>)
#  define SDT_USE_VARIADIC
#  include <sys/sdt.h>
#  define USDT(...)	STAP_PROBEV(rseq_op, __VA_ARGS__)
# endif
#endif
#ifndef USDT
# define USDT(...)	do { } while (0)
#endif

#endif /* USDT_H */
