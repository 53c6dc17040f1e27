/* `weir device create|ls|revoke`: devices with certificates of the data directory's own authority. A Weir
 * that runs on the directory knows of a change after SIGHUP. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/devices.h"
#include "base/clock.h"

static const char usage[] = "usage: weir device create NAME [--policy POLICY] [--directory DIR]\n"
                            "       weir device ls\n"
                            "       weir device revoke NAME\n"
                            "       [--data DIR] with each; `weir help` says more\n";

static int complain(const struct err *err) {
    fprintf(stderr, "weir device: %s\n", err->text);
    return 1;
}

static int create(struct facts *facts, const char *data, const char *directory,
                  struct device *device) {
    struct err err;
    char fingerprint[65];
    if (!device_name_valid(device->name)) {
        fputs("weir device: a name is 1 to 128 letters, digits and -_.: and does not begin with a "
              "dot\n",
              stderr);
        return 1;
    }
    if (devices_check_new(facts, device->name, &err) ||
        authority_issue(data, directory, device->name, fingerprint, &err))
        return complain(&err);
    device->fingerprint = fingerprint;
    device->active = true;
    device->created_ms = clock_wall_ms();
    if (devices_set(facts, device, &err))
        return complain(&err);
    printf("certificate %s/%s.pem\nkey         %s/%s.key\nfingerprint %s\n", directory,
           device->name, directory, device->name, fingerprint);
    fputs("a Weir that is running accepts it after SIGHUP\n", stderr);
    return 0;
}

static void print(void *data, const struct device *device) {
    char created[CLOCK_RFC3339_BYTES];
    clock_rfc3339(device->created_ms, created);
    printf("%-32s %-8s %-24s %-24s %s\n", device->name, device->active ? "active" : "revoked",
           device->policy ? device->policy : "-", created, device->fingerprint);
}

static int list(struct facts *facts) {
    printf("%-32s %-8s %-24s %-24s %s\n", "DEVICE", "STATUS", "POLICY", "CREATED", "FINGERPRINT");
    return devices_each(facts, print, NULL) ? 1 : 0;
}

static int revoke_device(struct facts *facts, const char *name) {
    struct err err;
    if (devices_revoke(facts, name, &err))
        return complain(&err);
    fputs("a Weir that is running ends its connections, and refuses new ones, after SIGHUP\n",
          stderr);
    return 0;
}

int command_device(int argc, char **argv) {
    const char *data = "./data", *directory = ".";
    struct device device = {0};
    const struct command_flag flags[] = {{"data", 'd', &data, NULL},
                                         {"policy", 'p', &device.policy, NULL},
                                         {"directory", 'o', &directory, NULL},
                                         {0}};
    if (!command_flags(&argc, argv, flags))
        return EXIT_USAGE;
    bool creates = argc == 3 && strcmp(argv[1], "create") == 0;
    bool revokes = argc == 3 && strcmp(argv[1], "revoke") == 0;
    if (!creates && !revokes && !(argc == 2 && strcmp(argv[1], "ls") == 0)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    struct err err;
    struct facts *facts;
    if (facts_open(data, FACTS_BYTES_MAX, &facts, &err))
        return complain(&err);
    device.name = argv[2];
    int status = creates   ? create(facts, data, directory, &device)
                 : revokes ? revoke_device(facts, argv[2])
                           : list(facts);
    facts_close(facts);
    return status;
}
