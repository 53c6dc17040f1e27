/* `weir run`: starts the app, says `ready`, and then does what signals say until SIGTERM. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "app/app.h"
#include "app/command.h"
#include "base/log.h"

/* Connections are files; as many as the system allows. */
static void raise_file_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Blocked in every thread, taken by main alone with sigwait(). */
static void block_signals(sigset_t *ret_set) {
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ret_set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void say_ready(const struct app *app) {
    struct buf addresses = {0};
    app_addresses(app, &addresses);
    printf("ready %.*s\n", STR_ARG(buf_str(&addresses)));
    fflush(stdout);
    clearerr(stdout); /* whoever waits for it may be gone, which is no failure of the run */
    buf_done(&addresses);
}

static void serve(struct app *app, const sigset_t *signals) {
    for (int number = 0; !sigwait(signals, &number);) {
        struct err err;
        if (number != SIGHUP) {
            log_info("app", "stopping");
            return;
        }
        if (app_reload(app, &err))
            log_error("app", "not reloaded, all stays as it was: %s", err.text);
        else
            log_info("app", "reloaded log, rules, policies, users, devices and certificates; other "
                            "keys count from the "
                            "next start");
    }
}

int command_run(int argc, char **argv) {
    const char *path = NULL;
    const struct command_flag flags[] = {{"config", 'c', &path, NULL}, {0}};
    if (!command_flags(&argc, argv, flags) || argc != 1 || !path) {
        fputs("usage: weir run -c FILE\n", stderr);
        return EXIT_USAGE;
    }
    struct config *config;
    struct app *app;
    struct err err;
    sigset_t signals;
    if (config_read(path, &config, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    raise_file_limit();
    block_signals(&signals);
    if (app_start(config, &app, &err)) {
        fprintf(stderr, "weir: %s\n", err.text);
        return 1;
    }
    say_ready(app);
    serve(app, &signals);
    app_stop(app);
    return 0;
}
