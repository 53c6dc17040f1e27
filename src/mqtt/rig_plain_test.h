/* For tests of a broker without anything special: each has a rig of its own, which runs. */
#ifndef MQTT_RIG_PLAIN_TEST_H
#define MQTT_RIG_PLAIN_TEST_H

#include "mqtt/rig_test.h"

static struct rig rig;

static int set_up(void **state) {
    rig_init(&rig);
    rig_start(&rig);
    return 0;
}

static int tear_down(void **state) {
    rig_done(&rig);
    return 0;
}

#define RIG_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
