// SPDX-License-Identifier: MIT
#include "fuzz.h"

/* The finalizer of splitmix64: every bit of the result depends on every bit of z. */
static uint64_t scramble(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t mix(uint64_t a, uint64_t b)
{
	return scramble(scramble(a + 0x9e3779b97f4a7c15) ^ b);
}

uint64_t random64(struct random *r)
{
	r->state += 0x9e3779b97f4a7c15;
	return scramble(r->state);
}

uint32_t below(struct random *r, uint32_t n)
{
	return (uint32_t)((random64(r) >> 32) * n >> 32);
}

bool chance(struct random *r, uint32_t n, uint32_t of)
{
	return below(r, of) < n;
}
