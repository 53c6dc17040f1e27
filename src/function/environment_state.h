/* The states of an environment and its allowed moves, as a table that can be tested alone. */
#ifndef FUNCTION_ENVIRONMENT_STATE_H
#define FUNCTION_ENVIRONMENT_STATE_H

#include <stdbool.h>

enum function_environment_state {
    ENVIRONMENT_DOWN,    /* no process; perhaps one is about to be started */
    ENVIRONMENT_INIT,    /* the process runs and has not asked for its first event */
    ENVIRONMENT_WAITING, /* its request for the next event waits here */
    ENVIRONMENT_BUSY,    /* it has an event */
    ENVIRONMENT_BETWEEN, /* it has answered and has not asked again */
    ENVIRONMENT_FAILED,  /* it reported that its start failed, and is about to end */
    ENVIRONMENT_ENDING,  /* it was told to end, or killed */
    ENVIRONMENT_STATES
};

enum function_environment_move {
    MOVE_START,
    MOVE_NEXT,       /* GET  /runtime/invocation/next */
    MOVE_NEXT_LOST,  /* the connection of the waiting request broke */
    MOVE_GIVE,       /* the waiting request is answered with an event */
    MOVE_RESPONSE,   /* POST /runtime/invocation/ID/response */
    MOVE_ERROR,      /* POST /runtime/invocation/ID/error */
    MOVE_INIT_ERROR, /* POST /runtime/init/error */
    MOVE_KILL,       /* time-out, too much memory, or the host stops */
    MOVE_EXIT,       /* the process has ended */
    ENVIRONMENT_MOVES
};

/* False, and nothing changed, when the move is not allowed in `state`. */
bool function_environment_state_after(enum function_environment_state state,
                                      enum function_environment_move move,
                                      enum function_environment_state *ret_state);

/* For messages: "Waiting", "InvocationResponse". */
const char *function_environment_state_name(enum function_environment_state state);
const char *function_environment_move_name(enum function_environment_move move);

#endif
