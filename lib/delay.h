/* SPDX-License-Identifier: MIT */
#ifndef DELAY_H
#define DELAY_H

/* Between two steps that others may come in between of: tests define it as a delay. */
#ifndef DELAY_POINT
# define DELAY_POINT()	do { } while (0)
#endif

#endif /* DELAY_H */
