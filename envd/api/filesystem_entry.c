/*
 * From an entry of the disk to an EntryInfo of the wire.
 */
#include "api/filesystem_entry.h"

#include <errno.h>

#include "base/mem.h"
#include "base/str.h"
#include "connect/call.h"
#include "filesystem/metadata.h"
#include "security/user.h"

static Filesystem__FileType
type_of(enum entry_type type)
{
    switch (type) {
    case ENTRY_FILE:
        return FILESYSTEM__FILE_TYPE__FILE_TYPE_FILE;
    case ENTRY_DIRECTORY:
        return FILESYSTEM__FILE_TYPE__FILE_TYPE_DIRECTORY;
    case ENTRY_OTHER:
        break;
    }
    return FILESYSTEM__FILE_TYPE__FILE_TYPE_UNSPECIFIED;
}

/* protobuf-c has no const strings. */
static char *
text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static int
fill_metadata(Filesystem__EntryInfo *info, const struct entry *e,
              struct arena *arena)
{
    Filesystem__EntryInfo__MetadataEntry *entries;

    if (e->metadata_count == 0)
        return 0;
    entries = arena_alloc(arena, e->metadata_count * sizeof(*entries));
    info->metadata =
        arena_alloc(arena, e->metadata_count * sizeof(*info->metadata));
    if (entries == NULL || info->metadata == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < e->metadata_count; i++) {
        filesystem__entry_info__metadata_entry__init(&entries[i]);
        entries[i].key = e->metadata[i].key;
        entries[i].value = e->metadata[i].value;
        info->metadata[i] = &entries[i];
    }
    info->n_metadata = e->metadata_count;
    return 0;
}

int
entry_message_fill(struct entry_message *m, const struct entry *e, bool legacy,
                   struct arena *arena)
{
    Filesystem__EntryInfo *info = &m->info;

    filesystem__entry_info__init(info);
    info->name = text(e->name);
    info->type = type_of(e->type);
    info->path = text(e->path);
    if (legacy)
        return 0;
    info->size = e->size;
    info->mode = e->mode;
    info->permissions = text(e->permissions);
    info->owner = text(e->owner);
    info->group = text(e->group);
    if (e->mtime.tv_sec != 0 || e->mtime.tv_nsec != 0) {
        google__protobuf__timestamp__init(&m->mtime);
        m->mtime.seconds = e->mtime.tv_sec;
        m->mtime.nanos = (int32_t)e->mtime.tv_nsec;
        info->modified_time = &m->mtime;
    }
    if (e->symlink_target != NULL) {
        info->_symlink_target_case =
            FILESYSTEM__ENTRY_INFO___SYMLINK_TARGET_SYMLINK_TARGET;
        info->symlink_target = text(e->symlink_target);
    }
    return fill_metadata(info, e, arena);
}

static const char *
name_of_uid(const void *ctx, uid_t uid)
{
    return user_name_of_uid(ctx, uid);
}

static const char *
name_of_gid(const void *ctx, gid_t gid)
{
    return user_name_of_gid(ctx, gid);
}

struct entry_names
entry_names_of(const struct user_names *names)
{
    return (struct entry_names){names, name_of_uid, name_of_gid};
}

bool
entry_call_is_legacy(const struct call *c)
{
    return str_eq(call_header(c, "User-Agent"), "connect-python");
}

void
entry_call_mark_legacy(struct call *c)
{
    call_add_metadata(c, false, "X-E2B-Legacy-SDK", "true");
}
