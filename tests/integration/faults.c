/*
 * Faults at the border to the kernel, for one process at a time: every call of its that changes files is counted, and
 * the n-th of them can be the last (SIGKILL, a write half done), or the first that finds the disk full. Loaded with
 * LD_PRELOAD, so that SQLite's calls and those of any other library count too. The clock can be set off as well.
 *
 * Linux and glibc; built by forks.py with the machine's C compiler.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t armed;        /* the process whose calls count; not those that it starts */
static long last;          /* number of the call that is hit; 0: none is */
static int failure;        /* errno of that call and all after it that need space; 0: the process is killed */
static time_t offset;      /* seconds that the clock is set off */
static atomic_long *calls; /* shared with whoever forked the process, so that it can be read after a kill */

__attribute__((constructor)) static void begin(void) {
    calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (calls == MAP_FAILED)
        abort();
}

void faults_arm(long number, int error, long seconds) {
    atomic_store(calls, 0);
    last = number;
    failure = error;
    offset = seconds;
    armed = getpid();
}

long faults_calls(void) { return atomic_load(calls); }

enum hit { MISSED, FIRST, LATER };

static enum hit count(void) {
    if (armed == 0 || armed != getpid())
        return MISSED;
    long number = atomic_fetch_add(calls, 1) + 1;
    if (last == 0 || number < last)
        return MISSED;
    return number == last ? FIRST : LATER;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* For a call that needs no space. */
static void pass(void) {
    if (count() == FIRST && failure == 0)
        die();
}

/* For a call that does; 1: it fails. */
static int fails(void) {
    enum hit hit = count();
    if (hit == FIRST && failure == 0)
        die();
    if (hit == MISSED || failure == 0)
        return 0;
    errno = failure;
    return 1;
}

/* For a write of some bytes; returns how many of them still find room, or -1. */
static ssize_t room(int descriptor, size_t size) {
    struct stat found;
    if (armed == 0 || fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode))
        return (ssize_t)size;
    enum hit hit = count();
    if (hit == MISSED || (failure == 0 && hit == LATER))
        return (ssize_t)size;
    if (hit == FIRST && (failure == 0 || size > 1))
        return (ssize_t)(size / 2);
    errno = failure;
    return -1;
}

static void half_done(size_t done, size_t size) {
    if (failure == 0 && done < size)
        die();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define PASSING(result, name, parameters, arguments) \
    result name parameters {                         \
        pass();                                      \
        return REAL(name) arguments;                 \
    }

#define FAILING(name, parameters, arguments) \
    int name parameters {                    \
        if (fails())                         \
            return -1;                       \
        return REAL(name) arguments;         \
    }

#define WRITING(name, parameters, arguments)            \
    ssize_t name parameters {                           \
        size_t asked = size;                            \
        ssize_t left = room(descriptor, size);          \
        if (left < 0)                                   \
            return -1;                                  \
        size = (size_t)left;                            \
        ssize_t done = size || !asked ? REAL(name) arguments : 0; \
        half_done(size, asked);                         \
        return done;                                    \
    }

#define OPENING(name, parameters, arguments, existing)                \
    int name parameters {                                             \
        mode_t mode = 0;                                              \
        if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {  \
            va_list rest;                                             \
            va_start(rest, flags);                                    \
            mode = va_arg(rest, mode_t);                              \
            va_end(rest);                                             \
        }                                                             \
        if ((flags & O_CREAT) && !(existing) && fails())              \
            return -1;                                                \
        return REAL(name) arguments;                                  \
    }

OPENING(open, (const char *path, int flags, ...), (path, flags, mode), access(path, F_OK) == 0)
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode), access(path, F_OK) == 0)
OPENING(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), faccessat(at, path, F_OK, 0) == 0)
OPENING(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode), faccessat(at, path, F_OK, 0) == 0)

WRITING(write, (int descriptor, const void *data, size_t size), (descriptor, data, size))
WRITING(pwrite, (int descriptor, const void *data, size_t size, off_t at), (descriptor, data, size, at))
WRITING(pwrite64, (int descriptor, const void *data, size_t size, off64_t at), (descriptor, data, size, at))

FAILING(mkdir, (const char *path, mode_t mode), (path, mode))
FAILING(mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
FAILING(link, (const char *old, const char *new), (old, new))
FAILING(linkat, (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))
FAILING(fsync, (int descriptor), (descriptor))
FAILING(fdatasync, (int descriptor), (descriptor))

#define COPYING(name, type)                                            \
    ssize_t name(int to, int from, type *at, size_t size) {             \
        return fails() ? -1 : REAL(name)(to, from, at, size);           \
    }

COPYING(sendfile, off_t)
COPYING(sendfile64, off64_t)

PASSING(int, rename, (const char *old, const char *new), (old, new))
PASSING(int, renameat2, (int from, const char *old, int to, const char *new, unsigned int flags),
        (from, old, to, new, flags))
PASSING(int, renameat, (int from, const char *old, int to, const char *new), (from, old, to, new))
PASSING(int, unlink, (const char *path), (path))
PASSING(int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
PASSING(int, rmdir, (const char *path), (path))
PASSING(int, chmod, (const char *path, mode_t mode), (path, mode))
PASSING(int, fchmod, (int descriptor, mode_t mode), (descriptor, mode))
PASSING(int, ftruncate, (int descriptor, off_t size), (descriptor, size))
PASSING(int, ftruncate64, (int descriptor, off64_t size), (descriptor, size))
/* Around a tool that is started and waited for. */
PASSING(int, pipe2, (int ends[2], int flags), (ends, flags))
PASSING(pid_t, waitpid, (pid_t process, int *status, int options), (process, status, options))

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(clock_gettime)(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && armed == getpid())
        now->tv_sec += offset;
    return result;
}
