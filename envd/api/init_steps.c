/*
 * What a POST /init consists of, in order: first what can fail, then what
 * cannot be taken back, then the thaw, in any case.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/init.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/status.h"
#include "envd.h"
#include "guest/ca_bundle.h"
#include "guest/clock.h"
#include "guest/clock_watch.h"
#include "guest/mmds.h"
#include "guest/ports.h"
#include "guest/settings.h"
#include "guest/volumes.h"
#include "limits.h"
#include "security/access.h"

#define CA_FAILED      "failed to install CA bundle: "
#define VOLUMES_FAILED "failed to setup NFS volumes: "

static void
log_debug(const char *text, const char *value)
{
    struct log_line line;

    if (log_begin(&line, LOG_LEVEL_DEBUG, "envd"))
        log_end(&line, "%s%s", text, value);
}

/* ---- what is frozen, and thawed ------------------------------------------ */

static void
on_audit(void *ctx, const struct freeze_audit *a)
{
    struct init_work *w = ctx;

    if (a != NULL)
        (void)snprintf(w->audit, sizeof(w->audit),
                       "{\"visited\":%" PRIu32 ",\"frozen\":%" PRIu32
                       ",\"escaped\":%" PRIu32 ",\"violations\":%" PRIu32
                       ",\"truncated\":%s}",
                       a->visited, a->frozen, a->escaped, a->violations,
                       a->truncated ? "true" : "false");
    init_work_continue(w);
}

static bool
step_audit(struct init_work *w)
{
    struct freezer *f = w->service->envd->freezer;

    if (f == NULL)
        return true;
    freezer_audit(f, on_audit, w);
    return false;
}

/* What failed is in the log of the freezer; the host can do nothing about it.
 */
static void
on_thawed(void *ctx, const struct thaw_result *r)
{
    (void)r;
    init_work_continue(ctx);
}

static bool
step_thaw(struct init_work *w)
{
    struct freezer *f = w->service->envd->freezer;

    if (f == NULL)
        return true;
    freezer_thaw(f, on_thawed, w);
    return false;
}

/* ---- is it to be applied, can it be -------------------------------------- */

static bool
step_accept(struct init_work *w)
{
    const struct init_request *r = w->request;

    w->decided = true;
    w->stale =
        r->has_timestamp &&
        !guest_accept_timestamp(w->service->envd->settings, r->timestamp_ns);
    return true;
}

static struct volume_mount *
volume_list(const Rest__InitRequest *m)
{
    struct volume_mount *list = calloc(m->n_volume_mounts + 1, sizeof(*list));

    for (size_t i = 0; list != NULL && i < m->n_volume_mounts; i++)
        list[i] = (struct volume_mount){
            .nfs_target = m->volume_mounts[i]->nfs_target,
            .path = m->volume_mounts[i]->path,
        };
    return list;
}

/* Nothing is changed by a request of which a part cannot be. */
static bool
step_check(struct init_work *w)
{
    const Rest__InitRequest *m = w->request->message;
    SCOPE(scope_free) struct volume_mount *list = volume_list(m);
    struct status st = {0};

    if (list == NULL)
        init_work_fail(w, 503, "", "");
    else if (ca_bundle_check(m->ca_bundle, strlen(m->ca_bundle), &st) < 0)
        init_work_fail(w, 400, CA_FAILED, st.message);
    else if (volumes_check(list, m->n_volume_mounts, &st) < 0)
        init_work_fail(w, 400, VOLUMES_FAILED, st.message);
    status_done(&st);
    return true;
}

/* ---- what is applied ----------------------------------------------------- */

static bool
step_clock(struct init_work *w)
{
    struct log_line line;
    int r;

    if (!w->request->has_timestamp)
        return true;
    r = clock_step(NULL, init_request_host_ns(w->request), &w->clock_delta_ns);
    w->clock_set = r > 0;
    if (w->clock_set)
        clock_watch_expect(w->service->envd->clock);
    if (r < 0 && log_begin(&line, LOG_LEVEL_ERROR, "envd"))
        log_end(&line, "cannot set the clock: %s", errno_text(-r));
    return true;
}

static void
on_certificates(void *ctx, const char *error)
{
    struct init_work *w = ctx;

    if (error != NULL)
        init_work_fail(w, 400, CA_FAILED, error);
    init_work_continue(w);
}

static bool
step_certificates(struct init_work *w)
{
    struct ca_bundle *c = w->service->envd->ca;
    const char *pem = w->request->message->ca_bundle;

    if (c == NULL || *pem == '\0')
        return true;
    ca_bundle_install(c, pem, strlen(pem), on_certificates, w);
    return false;
}

static void
on_volumes(void *ctx, const char *error)
{
    struct init_work *w = ctx;

    if (error != NULL)
        init_work_fail(w, 400, VOLUMES_FAILED, error);
    init_work_continue(w);
}

static bool
step_volumes(struct init_work *w)
{
    const Rest__InitRequest *m = w->request->message;
    struct volumes *v = w->service->envd->volumes;
    SCOPE(scope_free) struct volume_mount *list = NULL;

    if (v == NULL || m->n_volume_mounts == 0)
        return true;
    list = volume_list(m);
    if (list == NULL) {
        init_work_fail(w, 503, "", "");
        return true;
    }
    volumes_mount(v, m->lifecycle_id, list, m->n_volume_mounts, on_volumes, w);
    return false;
}

static int
apply_vars(struct envd *e, const Rest__InitRequest *m)
{
    SCOPE(scope_free) const char **names = NULL;
    SCOPE(scope_free) const char **values = NULL;
    struct log_line line;

    /* An array, even of length zero, says that the key was there. */
    if (m->env_vars == NULL)
        return 0;
    names = calloc(m->n_env_vars + 1, sizeof(*names));
    values = calloc(m->n_env_vars + 1, sizeof(*values));
    if (names == NULL || values == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_env_vars; i++) {
        names[i] = m->env_vars[i]->key;
        values[i] = m->env_vars[i]->value;
    }
    if (log_begin(&line, LOG_LEVEL_DEBUG, "envd"))
        log_end(&line, "Setting %zu env vars", m->n_env_vars);
    return guest_replace_vars(e->settings, names, values, m->n_env_vars);
}

static void
apply_token(struct envd *e, struct str token)
{
    if (token.data != NULL) {
        log_debug("Setting access token", "");
        (void)access_token_set(e->token, token); /* its length is checked */
    } else if (access_token_is_set(e->token)) {
        log_debug("Clearing access token", "");
        access_token_clear(e->token);
    }
}

static bool
step_settings(struct init_work *w)
{
    const Rest__InitRequest *m = w->request->message;
    struct envd *e = w->service->envd;
    int r = apply_vars(e, m);

    apply_token(e, w->request->token);
    if (*m->hyperloop_ip != '\0')
        init_hyperloop(w->service, m->hyperloop_ip);
    if (*m->default_user != '\0') {
        log_debug("Setting default user to: ", m->default_user);
        if (guest_set_default_user(e->settings, m->default_user) < 0)
            r = -ENOMEM;
    }
    if (*m->default_workdir != '\0') {
        log_debug("Setting default workdir to: ", m->default_workdir);
        if (guest_set_default_workdir(e->settings, m->default_workdir) < 0)
            r = -ENOMEM;
    }
    if (r < 0)
        init_work_fail(w, 503, "", "");
    return true;
}

/* ---- the metadata service ------------------------------------------------ */

static void
on_hash(struct mmds_lookup *l, const struct mmds_document *document,
        const char *error)
{
    struct init_work *w = container_of(l, struct init_work, lookup);

    (void)error;
    init_work_told(w, document != NULL ? document->access_token_hash : NULL);
}

static bool
ask(struct init_work *w)
{
    struct mmds *m = w->service->envd->mmds;

    if (m == NULL)
        return false;
    w->lookup = (struct mmds_lookup){.done = on_hash, .heal = true};
    mmds_lookup(m, &w->lookup);
    return true;
}

static void
ask_cancel(struct init_work *w)
{
    mmds_lookup_cancel(w->service->envd->mmds, &w->lookup);
}

static bool
answered_before(const struct init_service *s)
{
    return mmds_answered_before(s->envd->mmds);
}

static void
on_identity(struct mmds_lookup *l, const struct mmds_document *document,
            const char *error)
{
    struct init_work *w = container_of(l, struct init_work, identity);

    (void)document;
    (void)error;
    if (w->identity_awaited)
        init_work_continue(w);
}

/*
 * Who we are now.  It is asked for beside the steps that follow, unless
 * authorisation has done it already.
 */
static bool
step_ask_identity(struct init_work *w)
{
    struct mmds *m = w->service->envd->mmds;

    if (m == NULL || w->has_answer || !mmds_answered_before(m))
        return true;
    w->identity.done = on_identity;
    mmds_lookup(m, &w->identity);
    return true;
}

static bool
step_identity(struct init_work *w)
{
    w->identity_awaited = w->identity.waiting;
    return !w->identity_awaited;
}

/* ---- all of it ----------------------------------------------------------- */

static void
succeeded(struct init_work *w)
{
    struct envd *e = w->service->envd;

    if (e->mmds != NULL)
        mmds_poll(e->mmds, LIMIT_MMDS_POLL_MS);
    if (e->ports != NULL)
        ports_look_anew(e->ports);
}

static const struct init_step steps[] = {
    {"audit", INIT_ALWAYS, step_audit},
    {"accept", INIT_ALWAYS, step_accept},
    {"check", INIT_IF_DATA, step_check},
    {"ask", INIT_IF_DATA, step_ask_identity},
    {"clock", INIT_IF_DATA, step_clock},
    {"resume", INIT_IF_DATA, init_step_resume},
    {"certificates", INIT_IF_DATA, step_certificates},
    {"volumes", INIT_IF_DATA, step_volumes},
    {"settings", INIT_IF_DATA, step_settings},
    {"identity", INIT_IF_DATA, step_identity},
    {"hooks", INIT_IF_RESUMED, init_step_hooks},
    {"thaw", INIT_ALWAYS, step_thaw},
};

const struct init_ops init_ops = {
    .steps = steps,
    .step_count = ARRAY_LEN(steps),
    .ask = ask,
    .ask_cancel = ask_cancel,
    .answered_before = answered_before,
    .succeeded = succeeded,
};
