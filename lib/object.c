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

/* The object that an address lies in. The program itself is the first that is looked at. */
struct object {
	uintptr_t address;
	bool is_program;
	const char *name;		/* as the dynamic linker knows it; NULL: none found */
	uintptr_t base;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct object *o = arg;

	(void)size;
	if (!has(info, o->address)) {
		o->is_program = false;
		return 0;
	}
	o->name = info->dlpi_name;
	o->base = info->dlpi_addr;
	return 1;
}

static struct object object_of(const void *address)
{
	struct object o = { .address = (uintptr_t)address, .is_program = true };

	dl_iterate_phdr(look_at, &o);
	return o;
}

const char *module_loader_name(const void *address)
{
	struct object o = object_of(address);

	return o.is_program ? NULL : o.name;
}

static void name_program(struct module *m)
{
	long n = raw_syscall(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)m->name,
			     sizeof(m->name) - 1, 0, 0);

	m->name[n < 0 ? 0 : n] = '\0';
}

void module_of(const void *address, struct module *m)
{
	struct object o = object_of(address);
	size_t i;

	m->address = o.address - o.base;
	for (i = 0; o.name && o.name[i] && i < sizeof(m->name) - 1; i++)
		m->name[i] = o.name[i];
	m->name[i] = '\0';
	/* libc gives the program no name, or that by which it was called. */
	if (o.name && o.is_program)
		name_program(m);
}
