// SPDX-License-Identifier: MIT
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake-list.h"
#include "test.h"

static const char *text_of(const char *path, const char *list)
{
	if (!strcmp(path, "/sys/devices/system/cpu/possible"))
		return list;
	if (!strncmp(path, "/proc/thread-self/fdinfo/", strlen("/proc/thread-self/fdinfo/")))
		return "pos:\t0\nmnt_id:\t7\n";
	if (!strcmp(path, "/proc/thread-self/mountinfo"))
		return "6 1 0:5 / / rw - tmpfs tmpfs rw\n"
		       "7 6 0:9 / /sys rw shared:7 - sysfs sysfs rw\n";
	return NULL;
}

int fake_list_open(const char *path, const char *list)
{
	const char *text = text_of(path, list);
	int fd;

	if (!text)
		return -1;
	fd = memfd_create("fake-list", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	return fd;
}
