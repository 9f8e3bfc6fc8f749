// SPDX-License-Identifier: MIT
/*
 * A runtime that stops the world with a signal, as a garbage collector does: its thread takes the
 * runtime's lock, sends a signal, and waits until the handler has run. The runtime holds the same lock
 * over fork(), by handlers of pthread_atfork(). Whoever else blocks signals in a handler that runs
 * earlier, and is given the processor back only after the lock, makes it wait for ever.
 *
 * A handler also forks, once, and checks that no signal is blocked in any of the handlers.
 *
 *	world early|late [LIBRARY]	register the handlers before or after the library is loaded, or
 *					has run its constructors; open the library by dlopen(), or
 *					have been linked with it
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS	3000
#define LIMIT_S	200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t stopped;
static pthread_t main_thread;
static volatile sig_atomic_t nested, blocked;
static _Atomic int done;

static void look_at_mask(void)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	if (sigismember(&mask, SIGUSR2) || sigismember(&mask, SIGTERM))
		blocked = 1;
}

static void before_fork(void)
{
	look_at_mask();
	if (!nested) {
		nested = 1;
		if (!fork())
			_exit(blocked);
		wait(NULL);
	}
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
	look_at_mask();
}

static void on_stop(int sig)
{
	(void)sig;
	sem_post(&stopped);
}

static void *collect(void *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while (!done) {
		pthread_mutex_lock(&lock);
		pthread_kill(main_thread, SIGUSR2);
		while (sem_wait(&stopped))
			;
		pthread_mutex_unlock(&lock);
		usleep(50);	/* a mutex is not fair: give the fork a chance to get it */
	}
	return NULL;
}

#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
__attribute__((constructor(100)))
static void register_early(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "early"))
		pthread_atfork(before_fork, after_fork, after_fork);
}

int main(int argc, char **argv)
{
	pthread_t collector;
	int i;

	if (argc < 2)
		return 2;
	if (argc > 2 && !dlopen(argv[2], RTLD_NOW)) {
		puts(dlerror());
		return 2;
	}
	if (!strcmp(argv[1], "late"))
		pthread_atfork(before_fork, after_fork, after_fork);
	alarm(LIMIT_S);
	main_thread = pthread_self();
	sem_init(&stopped, 0, 0);
	signal(SIGUSR2, on_stop);
	if (pthread_create(&collector, NULL, collect, NULL))
		return 2;
	for (i = 0; i < FORKS; i++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(blocked);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return 3;
	}
	done = 1;
	pthread_join(collector, NULL);
	look_at_mask();
	return blocked ? 4 : 0;
}
