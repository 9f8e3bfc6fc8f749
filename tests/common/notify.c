// SPDX-License-Identifier: MIT
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "notify.h"
#include "test.h"

int notify_install_filter(const struct sock_filter *code, unsigned short len)
{
	struct sock_fprog filter = { .len = len, .filter = (struct sock_filter *)code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

int notify_install(int also)
{
	uint32_t or = (uint32_t)(also ? also : __NR_cpu_opv);
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_cpu_opv, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, or, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return notify_install_filter(code, ARRAY_SIZE(code));
}

uint64_t notify_wait(int listener, struct seccomp_data *data)
{
	struct seccomp_notif call = { 0 };

	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call), 0);
	if (data)
		*data = call.data;
	return call.id;
}

void notify_answer(int listener, uint64_t call, int error)
{
	struct seccomp_notif_resp response = { .id = call, .error = -error };

	if (!error)
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response), 0);
}

void notify_skip(int listener, uint64_t call)
{
	struct seccomp_notif_resp response = { .id = call };

	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response), 0);
}
