/* child.c: see child.h. */
#define _XOPEN_SOURCE 700
#include "child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "timing.h"

#ifndef _WIN32

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* environ with the variable, in whose name another value may be. The caller frees the array alone. */
static char **make_environment(const char *variable)
{
    const size_t name = strcspn(variable, "=") + 1;
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **made = malloc((n + 2) * sizeof *made);
    if (!made)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], variable, name) != 0)
            made[kept++] = environ[i];
    made[kept++] = (char *)variable; /* which posix_spawn does not change */
    made[kept] = NULL;
    return made;
}

/* A pipe that other children do not inherit: they would keep it open. */
static int open_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        return -1;
    for (int i = 0; i < 2; i++)
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

static int spawn(pid_t *id, char *const *argv, char *const *variables, int in, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t pipes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &pipes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    const int error = posix_spawnp(id, argv[0], &files, &attributes, argv, variables);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return error;
}

int child_start(child *c, char *const *argv, const char *variable, fault *f)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1}, error = 0;
    pid_t id = 0;
    char **variables = make_environment(variable);
    if (!variables)
        return fault_memory(f);
    signal(SIGPIPE, SIG_IGN);
    if (open_pipe(to) != 0 || open_pipe(from) != 0)
        error = errno;
    else
        error = spawn(&id, argv, variables, to[0], from[1]);
    free(variables);
    if (to[0] >= 0)
        close(to[0]);
    if (from[1] >= 0)
        close(from[1]);
    if (error != 0) {
        if (to[1] >= 0)
            close(to[1]);
        if (from[0] >= 0)
            close(from[0]);
        return fault_set(f, EXIT_DEVICE, "%s cannot be started: %s", argv[0], strerror(error));
    }
    *c = (child){.id = (long)id, .in = to[1], .out = from[0]};
    return EXIT_FINE;
}

/* Takes a line out of what was read, or all of it where it is too long for one, or at the end. */
static int take_line(child *c, int at_end, char line[CHILD_LINE])
{
    const char *end = memchr(c->pending, '\n', c->n_pending);
    const int full = c->n_pending == CHILD_LINE - 1;
    if (!end && !full && !(at_end && c->n_pending > 0))
        return 0;
    const size_t length = end ? (size_t)(end - c->pending) : c->n_pending, gone = end ? length + 1 : length;
    memcpy(line, c->pending, length);
    line[length] = 0;
    line[strcspn(line, "\r")] = 0;
    c->n_pending -= gone;
    memmove(c->pending, c->pending + gone, c->n_pending);
    return 1;
}

child_answer child_read(child *c, double until, child_stopped stopped, char line[CHILD_LINE])
{
    const int turn_ms = 200; /* a signal may come just before poll begins */
    while (!take_line(c, 0, line)) {
        struct pollfd ready = {.fd = c->out, .events = POLLIN};
        const double left = until - timing_now();
        if (stopped())
            return CHILD_STOPPED;
        if (left <= 0)
            return CHILD_LATE;
        if (poll(&ready, 1, left < turn_ms ? (int)left + 1 : turn_ms) <= 0)
            continue;
        const ssize_t bytes = read(c->out, c->pending + c->n_pending, CHILD_LINE - 1 - c->n_pending);
        if (bytes == 0)
            return take_line(c, 1, line) ? CHILD_READ : CHILD_ENDED;
        if (bytes > 0)
            c->n_pending += (size_t)bytes;
        else if (errno != EINTR)
            return CHILD_ENDED;
    }
    return CHILD_READ;
}

int child_write(child *c, const char *text)
{
    const size_t length = strlen(text);
    return write(c->in, text, length) == (ssize_t)length;
}

/* waitpid, until it says something or the clock says so; 0: it did not. */
static pid_t wait_until(pid_t id, int *status, double until)
{
    pid_t waited = waitpid(id, status, WNOHANG);
    while ((waited == 0 || (waited < 0 && errno == EINTR)) && timing_now() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        waited = waitpid(id, status, WNOHANG);
    }
    return waited;
}

child_end child_stop(child *c, double patience)
{
    child_end end = {.exit_status = -1, .text = ""};
    int status = 0;
    if (c->id <= 0)
        return end;
    const pid_t id = (pid_t)c->id;
    const double until = timing_now() + 1e3 * patience;
    close(c->in);
    pid_t waited = wait_until(id, &status, until);
    if (waited == 0) {
        kill(-id, SIGKILL);
        waited = wait_until(id, &status, timing_now() + 5e3);
    }
    close(c->out);
    *c = (child){0};
    if (waited == 0) { /* not even SIGKILL reaches a process that waits for a device in the kernel: it is left behind */
        snprintf(end.text, sizeof end.text, "hangs in the driver, and cannot be ended");
    } else if (WIFEXITED(status)) {
        end.exit_status = WEXITSTATUS(status);
        snprintf(end.text, sizeof end.text, "ended with exit status %d", end.exit_status);
    } else if (WIFSIGNALED(status)) {
        snprintf(end.text, sizeof end.text, "ended by signal %d (%.60s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    }
    return end;
}

int child_own_path(char *path, size_t capacity, fault *f)
{
    const ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
    if (length > 0)
        path[length] = 0;
    else if (snprintf(path, capacity, "cldeform") >= (int)capacity) /* another system: what the shell would find */
        return fault_memory(f);
    return EXIT_FINE;
}

#else

int child_start(child *c, char *const *argv, const char *variable, fault *f)
{
    (void)c;
    (void)variable;
    return fault_set(f, EXIT_DEVICE, "%s cannot be started: this is not written for Windows", argv[0]);
}

child_answer child_read(child *c, double until, child_stopped stopped, char line[CHILD_LINE])
{
    (void)c;
    (void)until;
    (void)stopped;
    line[0] = 0;
    return CHILD_ENDED;
}

int child_write(child *c, const char *text)
{
    (void)c;
    (void)text;
    return 0;
}

child_end child_stop(child *c, double patience)
{
    (void)c;
    (void)patience;
    return (child_end){.exit_status = -1, .text = ""};
}

int child_own_path(char *path, size_t capacity, fault *f)
{
    (void)f;
    snprintf(path, capacity, "cldeform");
    return EXIT_FINE;
}

#endif
