/* What the broker itself needs of passwords besides mqtt.h. */
#ifndef MQTT_PASSWORD_H
#define MQTT_PASSWORD_H

/* A hash that no password matches, verified when the user does not exist. */
extern const char password_nobody[];

#endif
