#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *text, size_t size, int max, int *ret_number) {
    int number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (text[i] - '0');
        if (number > max)
            return false;
    }
    *ret_number = number;
    return size > 0;
}

static bool copy(char *to, size_t to_size, const char *from, size_t size) {
    if (size >= to_size)
        return false;
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

static int hex_value(char digit) {
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit ? strchr(digits, digit) : NULL;
    return found ? (int)((found - digits) % 16) : -1;
}

/* Copies with %XX decoded (RFC 3986 section 2.1). A NUL would cut the text: it is refused. */
static bool copy_decoded(char *to, size_t to_size, const char *from, size_t size) {
    size_t out = 0;
    for (size_t i = 0; i < size; i++) {
        char byte = from[i];
        if (byte == '%') {
            int high = i + 2 < size ? hex_value(from[i + 1]) : -1;
            int low = high >= 0 ? hex_value(from[i + 2]) : -1;
            if (low < 0 || high + low == 0)
                return false;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        if (out + 1 >= to_size)
            return false;
        to[out++] = byte;
    }
    to[out] = '\0';
    return true;
}

/* `user:password`, `:password`, or a lone password as older clients write it. */
static const char *parse_user_info(struct settings *settings, const char *text, size_t size) {
    const char *colon = memchr(text, ':', size);
    const char *password = colon ? colon + 1 : text;
    size_t user_size = colon ? (size_t)(colon - text) : 0;
    size_t password_size = size - (size_t)(password - text);
    if (!copy_decoded(settings->user, sizeof settings->user, text, user_size) ||
        !copy_decoded(settings->password, sizeof settings->password, password, password_size))
        return "redis_url: the user or password is too long or badly escaped";
    return NULL;
}

/* `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare v6 address. */
static const char *parse_host(struct settings *settings, const char *text, size_t size) {
    const char *host = text, *rest = text + size;
    size_t host_size = size;
    if (size > 0 && *text == '[') {
        const char *bracket = memchr(text, ']', size);
        if (!bracket)
            return "redis_url: the bracket of the address is not closed";
        host = text + 1;
        host_size = (size_t)(bracket - host);
        rest = bracket + 1;
    } else {
        const char *colon = memchr(text, ':', size);
        if (colon && !memchr(colon + 1, ':', size - (size_t)(colon + 1 - text))) {
            host_size = (size_t)(colon - text);
            rest = colon;
        }
    }
    if (host_size == 0 || !copy(settings->host, sizeof settings->host, host, host_size))
        return "redis_url: the host is missing or too long";
    size_t rest_size = (size_t)(text + size - rest);
    if (rest_size > 0 &&
        (*rest != ':' || !parse_number(rest + 1, rest_size - 1, 65535, &settings->port)))
        return "redis_url: the port is not a number up to 65535";
    return NULL;
}

static const char *parse_authority(struct settings *settings, const char *text) {
    size_t size = strcspn(text, "/?#");
    const char *path = text + size, *at = memrchr(text, '@', size), *problem = NULL;
    if (*path == '/' && path[1] != '\0' &&
        !parse_number(path + 1, strlen(path + 1), 1 << 20, &settings->database))
        return "redis_url: what follows the / is not the number of a database";
    if (*path != '\0' && *path != '/')
        return "redis_url: parameters are not known here";
    if (at) {
        problem = parse_user_info(settings, text, (size_t)(at - text));
        size -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    return problem ? problem : parse_host(settings, text, size);
}

const char *settings_parse_redis(struct settings *settings, const char *url, const char *port) {
    const char *problem;
    settings->is_path = strncmp(url, "unix://", 7) == 0;
    settings->port = 6379;
    settings->database = 0;
    settings->user[0] = settings->password[0] = '\0';
    if (port && *port && !parse_number(port, strlen(port), 65535, &settings->port))
        return "redis_port is not a number up to 65535";
    if (settings->is_path) {
        if (url[7] != '/' || !copy(settings->host, sizeof settings->host, url + 7, strlen(url + 7)))
            return "redis_url: the socket's path is missing, relative or too long";
        snprintf(settings->place, sizeof settings->place, "%s", settings->host);
        return NULL;
    }
    if (strncmp(url, "redis://", 8) == 0)
        problem = parse_authority(settings, url + 8);
    else if (strstr(url, "://"))
        problem = "redis_url: only redis:// and unix:// are known";
    else
        problem = parse_host(settings, url, strlen(url));
    snprintf(settings->place, sizeof settings->place, "%s:%d", settings->host, settings->port);
    return problem;
}

static const char *value_or(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

const char *settings_read(struct settings *ret_settings) {
    const char *url = value_or("redis_url", NULL);
    if (!url)
        return "redis_url is not set";
    ret_settings->latest_key = value_or("sensor_latest_key", "sensorLatest");
    ret_settings->count_key = value_or("sensor_count_key", "sensorCount");
    ret_settings->shards_key = value_or("sensor_shards_key", "sensorShards");
    ret_settings->channel = value_or("sensor_channel", "sensors");
    return settings_parse_redis(ret_settings, url, getenv("redis_port"));
}
