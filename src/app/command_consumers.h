/* Named consumers on the command line. */
#ifndef APP_COMMAND_CONSUMERS_H
#define APP_COMMAND_CONSUMERS_H

#include "app/command.h"
#include "app/stream_source.h"

/* `weir stream consumers ls|rm ...`: what stands behind "consumers". Returns the exit status. */
int command_consumers(const struct stream_source *source, int argc, char **argv);

/* The small facts of the data directory, also while a Weir has them open. */
int command_facts_open(const char *data, struct facts **ret_facts, struct err *err);

#endif
