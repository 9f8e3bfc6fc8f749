// SPDX-License-Identifier: MIT
/*
 * Is a file that the library has opened below /sys the kernel's file of that name?
 *
 * A container may mount a file of its own over it, or over a directory on the way; and that file
 * may be another one of sysfs. So neither the path nor the type of the file system is enough. The
 * kernel says in /proc which mount an open file belongs to, and for each mount which directory of
 * which file system is mounted where. From that follows the name of the file in its file system.
 *
 * This takes openat(2), pread64(2) and close(2) only. The dynamic linker makes these calls too, so
 * a filter that was there when the program started allows them.
 */
#include <fcntl.h>
#include <string.h>

#include "internal.h"

#define LINE_SIZE	256
#define NUMBER_SIZE	24

struct reader {
	long fd, offset;
	size_t begin, end;	/* of what is in buf */
	char buf[128];
};

static bool open_proc(struct reader *r, const char *path)
{
	r->fd = raw_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	r->offset = 0;
	r->begin = r->end = 0;
	return r->fd >= 0;
}

static void close_proc(struct reader *r)
{
	raw_syscall(SYS_close, r->fd, 0, 0, 0, 0, 0);
}

static int next_char(struct reader *r)
{
	if (r->begin == r->end) {
		long n = raw_pread(r->fd, r->buf, sizeof(r->buf), r->offset);

		if (n <= 0)
			return -1;
		r->offset += n;
		r->begin = 0;
		r->end = (size_t)n;
	}
	return (unsigned char)r->buf[r->begin++];
}

/* The next line, without its end. A longer line is cut. */
static bool next_line(struct reader *r, char line[LINE_SIZE])
{
	size_t n = 0;
	int c = next_char(r);

	if (c < 0)
		return false;
	for (; c >= 0 && c != '\n'; c = next_char(r)) {
		if (n < LINE_SIZE - 1)
			line[n++] = (char)c;
	}
	line[n] = '\0';
	return true;
}

/* What follows the prefix, or NULL. */
static const char *after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) ? NULL : s + n;
}

/* Not snprintf(): this may run in a signal handler. */
static void append_number(char *s, long n)
{
	char digits[NUMBER_SIZE], *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	strcat(s, p);
}

/* Store the number of the file's mount, as digits. */
static bool find_mount(long fd, char id[NUMBER_SIZE])
{
	char path[64] = "/proc/thread-self/fdinfo/", line[LINE_SIZE];
	const char *number = NULL;
	struct reader r;

	append_number(path, fd);
	if (!open_proc(&r, path))
		return false;
	while (!number && next_line(&r, line))
		number = after(line, "mnt_id:\t");
	close_proc(&r);
	if (!number || strlen(number) >= NUMBER_SIZE)
		return false;
	strcpy(id, number);
	return true;
}

/* The n-th field of a line, counted from 0; fields end at a space. */
static const char *field(const char *line, int n)
{
	for (; line && n; n--) {
		line = strchr(line, ' ');
		line = line ? line + 1 : NULL;
	}
	return line;
}

/* The length of a directory's name before a slash; the root has none. */
static size_t length(const char *dir)
{
	size_t n = strcspn(dir, " ");

	return n == 1 ? 0 : n;
}

/*
 * A line of mountinfo, see proc(5): number, parent, device, directory in the file system, directory
 * where it is mounted, options, and after " - " the type of the file system.
 */
static bool is_name_in_sysfs(const char *line, const char *path, const char *name)
{
	const char *root = field(line, 3), *at = field(line, 4), *type = strstr(line, " - sysfs ");
	size_t root_length, at_length;

	if (!root || !at || !type)
		return false;
	root_length = length(root);
	at_length = length(at);
	return !strncmp(path, at, at_length) && !strncmp(name, root, root_length) &&
	       !strcmp(path + at_length, name + root_length);
}

bool mount_is_sysfs(long fd, const char *path, const char *name)
{
	char id[NUMBER_SIZE], line[LINE_SIZE];
	bool found = false, is = false;
	struct reader r;

	if (!find_mount(fd, id) || !open_proc(&r, "/proc/thread-self/mountinfo"))
		return false;
	while (!found && next_line(&r, line)) {
		const char *rest = after(line, id);

		found = rest && *rest == ' ';
		is = found && is_name_in_sysfs(line, path, name);
	}
	close_proc(&r);
	return is;
}
