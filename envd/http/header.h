/*
 * One header line.
 */
#ifndef ENVD_HTTP_HEADER_H
#define ENVD_HTTP_HEADER_H

#include "base/str.h"

struct http_header {
    struct str name;  /* as sent */
    struct str value; /* without blanks at its ends */
};

#endif
