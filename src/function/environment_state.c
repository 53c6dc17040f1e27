/*
 *  DOWN --start--> INIT --next--> WAITING --give--> BUSY --response, error--> BETWEEN
 *   ^                |              ^  |              |                          |
 *   |           init/error          |  +--next lost---|------------------------->|
 *   |                v              +-----------------|-----------next-----------+
 *   +------exit--- FAILED                             +--next: the same event once more
 *
 * From each state with a process, `kill` leads to ENDING and `exit` to DOWN. What the runtime asks
 * for beyond this is refused with 403 InvalidStateTransition (AWS Lambda developer guide, "Using
 * the Lambda runtime API"; the emulator has the same states under other names).
 */
#include "function/environment_state.h"

#include "base/err.h"

/* Entries hold the state plus one, so that what is not written is not allowed. */
#define TO(state) (ENVIRONMENT_##state + 1)

static const unsigned char table[ENVIRONMENT_STATES][ENVIRONMENT_MOVES] = {
    [ENVIRONMENT_DOWN] = {[MOVE_START] = TO(INIT)},
    [ENVIRONMENT_INIT] = {[MOVE_NEXT] = TO(WAITING),
                          [MOVE_INIT_ERROR] = TO(FAILED),
                          [MOVE_KILL] = TO(ENDING),
                          [MOVE_EXIT] = TO(DOWN)},
    [ENVIRONMENT_WAITING] = {[MOVE_NEXT] = TO(WAITING),
                             [MOVE_NEXT_LOST] = TO(BETWEEN),
                             [MOVE_GIVE] = TO(BUSY),
                             [MOVE_KILL] = TO(ENDING),
                             [MOVE_EXIT] = TO(DOWN)},
    [ENVIRONMENT_BUSY] = {[MOVE_NEXT] = TO(BUSY),
                          [MOVE_RESPONSE] = TO(BETWEEN),
                          [MOVE_ERROR] = TO(BETWEEN),
                          [MOVE_KILL] = TO(ENDING),
                          [MOVE_EXIT] = TO(DOWN)},
    [ENVIRONMENT_BETWEEN] =
        {[MOVE_NEXT] = TO(WAITING), [MOVE_KILL] = TO(ENDING), [MOVE_EXIT] = TO(DOWN)},
    [ENVIRONMENT_FAILED] = {[MOVE_KILL] = TO(ENDING), [MOVE_EXIT] = TO(DOWN)},
    [ENVIRONMENT_ENDING] = {[MOVE_KILL] = TO(ENDING), [MOVE_EXIT] = TO(DOWN)},
};

bool function_environment_state_after(enum function_environment_state state,
                                      enum function_environment_move move,
                                      enum function_environment_state *ret_state) {
    ASSERT(state < ENVIRONMENT_STATES && move < ENVIRONMENT_MOVES);
    unsigned char to = table[state][move];
    if (to)
        *ret_state = (enum function_environment_state)(to - 1);
    return to != 0;
}

const char *function_environment_state_name(enum function_environment_state state) {
    static const char *const names[] = {"Down",    "Init",   "Waiting", "Busy",
                                        "Between", "Failed", "Ending"};
    return names[state];
}

const char *function_environment_move_name(enum function_environment_move move) {
    static const char *const names[] = {
        "Start",           "InvocationNext", "NextLost", "Give", "InvocationResponse",
        "InvocationError", "InitError",      "Kill",     "Exit"};
    return names[move];
}
