/* The command line: picks the subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "base/mem.h"

static int command_version(int argc, char **argv) {
    puts("weir " WEIR_VERSION);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", command_run},           {"check", command_check},   {"sense", command_sense},
    {"stream", command_stream},     {"rule", command_rule},     {"client", command_client},
    {"retained", command_retained}, {"passwd", command_passwd}, {"device", command_device},
    {"help", command_help},         {"--help", command_help},   {"version", command_version},
    {"--version", command_version},
};

/* Descriptors 0 to 2 must be open: else the first socket would take the place of standard error. */
static void open_standard_descriptors(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* What was printed and has not left the process is lost when it ends. Who reads no further wants no more. */
static int finish(int code) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno != EPIPE)
        fprintf(stderr, "weir: the output could not be written%s%s\n", errno ? ": " : "",
                errno ? strerror(errno) : "");
    return code ? code : 1;
}

int main(int argc, char **argv) {
    open_standard_descriptors();
    const char *name = argc > 1 ? argv[1] : "help";
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    fprintf(stderr, "weir: there is no command \"%s\"; `weir help` lists them\n", name);
    return EXIT_USAGE;
}
