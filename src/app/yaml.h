/* YAML (libyaml) into a configuration tree. */
#ifndef APP_YAML_H
#define APP_YAML_H

#include "base/conf.h"

enum { YAML_DEPTH_MAX = 32, YAML_BYTES_MAX = 4 * 1024 * 1024 };

/*
 * Reads one document. `file` is the name that errors and nodes carry; it must outlive the tree. An
 * empty document gives an empty map. Duplicate keys, anchors, tags and more than one document are
 * errors that say where.
 */
int yaml_read(struct arena *arena, const char *file, struct str text, const struct conf **ret_conf,
              struct err *err);

#endif
