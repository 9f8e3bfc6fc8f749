// SPDX-License-Identifier: MIT
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpus.h"
#include "cpuset.h"

#define ROOT	"/sys/fs/cgroup/"
#define PREFIX	ROOT "test_cpuset_"

bool make_cpusets(void)
{
	return write_to(ROOT "cgroup.subtree_control", "+cpuset") &&
	       !mkdir(PREFIX "a", 0755) && !mkdir(PREFIX "b", 0755);
}

bool remove_cpusets(void)
{
	return write_to(ROOT "cgroup.procs", "%d", getpid()) &&
	       !rmdir(PREFIX "a") && !rmdir(PREFIX "b");
}

bool set_cpuset(const char *name, int first_cpu, int last_cpu)
{
	char path[80];

	snprintf(path, sizeof(path), PREFIX "%s/cpuset.cpus", name);
	return write_to(path, "%d-%d", first_cpu, last_cpu);
}

bool enter_cpuset(const char *name, pid_t pid)
{
	char path[80];

	snprintf(path, sizeof(path), PREFIX "%s/cgroup.procs", name);
	return write_to(path, "%d", pid);
}

bool make_cpusets_of_threads(void)
{
	return make_cpusets() && write_to(PREFIX "a/cgroup.type", "threaded") &&
	       write_to(PREFIX "b/cgroup.type", "threaded");
}

bool enter_cpuset_as_thread(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), PREFIX "%s/cgroup.threads", name);
	return write_to(path, "%ld", syscall(SYS_gettid));
}
