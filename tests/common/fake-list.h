/* SPDX-License-Identifier: MIT */
#ifndef FAKE_LIST_H
#define FAKE_LIST_H

/*
 * A list of possible CPUs that the library takes for the kernel's. A seccomp supervisor opens files
 * of its own in place of the list, and in place of those files of /proc that say which mount the
 * list belongs to.
 */

/* A new file that is to be opened in place of @path, or -1: @path is to be opened itself. */
int fake_list_open(const char *path, const char *list);

#endif /* FAKE_LIST_H */
