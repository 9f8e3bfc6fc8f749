// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "pages.h"

static uint64_t word_of(const char *path, uint64_t index)
{
	uint64_t word = 0;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || pread(fd, &word, sizeof(word), (off_t)(index * sizeof(word))) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
	return word;
}

uint64_t page_mapping(const void *page)
{
	return word_of("/proc/self/pagemap", (uintptr_t)page / PAGE);
}

bool page_is(const void *page, int flag)
{
	uint64_t entry = page_mapping(page);

	if (!(entry & MAPPED_PRESENT))
		return false;
	return word_of("/proc/kpageflags", MAPPED_FRAME(entry)) >> flag & 1;
}

long mapping_kb(const void *p, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool here = false;
	char line[256];
	long kb = -1;

	assert_non_null(f);
	while (kb < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (uintptr_t)p >= start && (uintptr_t)p < end;
		else if (here && !strncmp(line, field, strlen(field)))
			kb = strtol(line + strlen(field) + 1, NULL, 10);
	}
	fclose(f);
	return kb;
}

static long vmstat(const char *field)
{
	FILE *f = fopen("/proc/vmstat", "r");
	char name[64];
	long value, found = -1;

	assert_non_null(f);
	while (fscanf(f, "%63s %ld", name, &value) == 2) {
		if (!strcmp(name, field))
			found = value;
	}
	fclose(f);
	if (found < 0)
		fail_msg("no %s in /proc/vmstat", field);
	return found;
}

long pages_pinned(void)
{
	/* Each CPU keeps some of the counts to itself until asked. */
	write_file("/proc/sys/vm/stat_refresh", "1");
	return vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released");
}

void write_file(const char *path, const char *text)
{
	if (!write_to(path, "%s", text))
		fail_msg("%s does not take %s: %s", path, text, strerror(errno));
}

long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long value = 0;

	if (!f || fscanf(f, "%ld", &value) != 1)
		fail_msg("%s: no number", path);
	fclose(f);
	return value;
}

void command(const char *line)
{
	int status = system(line);

	if (status)
		fail_msg("%s: status %#x", line, status);
}

void make_disk(struct disk *d, const char *device, const char *mkfs_arguments)
{
	char line[160];

	d->device = device;
	strcpy(d->folder, "/tmp/disk.XXXXXX");
	assert_non_null(mkdtemp(d->folder));
	snprintf(line, sizeof(line), "mkfs.ext4 -q -F -b 4096 %s %s >&2", device,
		 mkfs_arguments);
	command(line);
	mount_disk(d);
}

void mount_disk(const struct disk *d)
{
	if (mount(d->device, d->folder, "ext4", 0, NULL))
		fail_msg("mount %s: %s", d->device, strerror(errno));
}

void unmount_disk(const struct disk *d)
{
	if (umount(d->folder))
		fail_msg("umount %s: %s", d->folder, strerror(errno));
	write_file("/proc/sys/vm/drop_caches", "3");
}

void remove_disk(struct disk *d)
{
	unmount_disk(d);
	assert_int_equal(rmdir(d->folder), 0);
	d->folder[0] = 0;
}

void detach_disk(struct disk *d)
{
	if (!d->folder[0])
		return;
	umount2(d->folder, MNT_DETACH);
	rmdir(d->folder);
	d->folder[0] = 0;
}

int new_file(const char *folder, const char *name, long size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, size))
		fail_msg("%s: %s", path, strerror(errno));
	return fd;
}

void *new_pages(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail_msg("mmap of %zu bytes: %s", size, strerror(errno));
	return p;
}
