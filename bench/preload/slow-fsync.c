/*
 * Makes a mechanical disk of any disk: preloaded, every fsync and fdatasync of every process first takes one lock for
 * the whole machine, sleeps, and only then does the real call; so they come one after another, however many ask.
 *
 * POSTLANE_TEST_SLOW_FSYNC_LOCK  a file that exists and that everyone concerned may open for writing
 * POSTLANE_TEST_SLOW_FSYNC_MS    how long each takes; 8 ms is about one turn of a disk at 7,200 turns a minute. A number in the
 *                           lock's file goes before it: so a disk can become slow and well again while all run
 *
 * The lock is an flock on a description opened anew for each call: the kernel drops it with a process that is killed,
 * a forked child does not share it with its parent, and a daemon that closes every descriptor loses nothing.
 * Does not slow O_SYNC or O_DSYNC writes, nor sync_file_range: PostgreSQL's default on Linux is fdatasync, and
 * Postfix uses fsync.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_SLEEP_MS 8

typedef int (*sync_call)(int);

static int take_turn(void)
{
	const char *path = getenv("POSTLANE_TEST_SLOW_FSYNC_LOCK");
	int lock;

	do
		lock = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	while (lock < 0 && path != NULL && errno == EINTR);
	/* Without the lock the disk would be faster than it claims to be: better no figure than a false one. */
	if (lock < 0) {
		static const char complaint[] = "slow-fsync: cannot open POSTLANE_TEST_SLOW_FSYNC_LOCK\n";
		(void) !write(STDERR_FILENO, complaint, sizeof(complaint) - 1);
		abort();
	}
	while (flock(lock, LOCK_EX) != 0 && errno == EINTR)
		;
	return lock;
}

static long turn_ms(int lock)
{
	const char *setting = getenv("POSTLANE_TEST_SLOW_FSYNC_MS");
	char now[16];
	ssize_t length = pread(lock, now, sizeof(now) - 1, 0);

	if (length > 0) {
		now[length] = '\0';
		return atol(now);
	}
	return setting == NULL || *setting == '\0' ? DEFAULT_SLEEP_MS : atol(setting);
}

static void turn_of_the_disk(long ms)
{
	struct timespec left = {ms / 1000, (ms % 1000) * 1000000L};

	while (ms > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static int slowly(const char *name, int fd)
{
	sync_call real = (sync_call) dlsym(RTLD_NEXT, name);
	int lock = take_turn();
	int result, error;

	turn_of_the_disk(turn_ms(lock));
	result = real(fd);
	error = errno;
	close(lock);
	errno = error;
	return result;
}

int fsync(int fd)
{
	return slowly("fsync", fd);
}

int fdatasync(int fd)
{
	return slowly("fdatasync", fd);
}
