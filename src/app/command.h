/* The subcommands of the program: each takes the arguments behind its name and returns the exit
 * status. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_sense(int argc, char **argv);
int command_stream(int argc, char **argv);
int command_stream_verify(const char *directory); /* 0: no fault, 1: faults, 2: cannot look */
int command_rule(int argc, char **argv);
int command_client(int argc, char **argv);
int command_retained(int argc, char **argv);
int command_passwd(int argc, char **argv);
int command_device(int argc, char **argv);
int command_help(int argc, char **argv);

/* EX_USAGE of sysexits.h: the command line was wrong. */
enum { EXIT_USAGE = 64 };

/*
 * Reads `--name VALUE`, `--name=VALUE` and `-n VALUE` and flags from argv[1..] into `values`
 * (NULL-terminated table), leaves the rest in argv[1..] and their number in *argc. False after it
 * printed what was wrong.
 */
struct command_flag {
    const char *name;   /* "shard" */
    char letter;        /* or 0 */
    const char **value; /* takes a value; or */
    int *present;       /* is set to 1 */
};

int command_flags(int *argc, char **argv, const struct command_flag *flags);

#endif
