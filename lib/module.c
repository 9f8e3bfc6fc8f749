// SPDX-License-Identifier: MIT
/*
 * Which file an address comes from.
 */
#include <fcntl.h>
#include <link.h>

#include "internal.h"

static bool has(const struct dl_phdr_info *info, uintptr_t address)
{
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && address - info->dlpi_addr - p->p_vaddr < p->p_memsz)
			return true;
	}
	return false;
}

/* The program itself has no name here. */
static void name_program(struct module *m)
{
	long n = raw_syscall(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)m->name,
			     sizeof(m->name) - 1, 0, 0);

	m->name[n < 0 ? 0 : n] = '\0';
}

static int look_at(struct dl_phdr_info *info, size_t size, void *module)
{
	struct module *m = module;
	size_t i;

	(void)size;
	if (!has(info, m->address))
		return 0;
	m->address -= info->dlpi_addr;
	for (i = 0; info->dlpi_name[i] && i < sizeof(m->name) - 1; i++)
		m->name[i] = info->dlpi_name[i];
	m->name[i] = '\0';
	if (!i)
		name_program(m);
	return 1;
}

void module_of(const void *address, struct module *m)
{
	m->name[0] = '\0';
	m->address = (uintptr_t)address;
	dl_iterate_phdr(look_at, m);
}
