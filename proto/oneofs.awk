# The full names of the oneofs of the messages, which protobuf-c leaves out:
# lines `{"package.Message", "oneof"},`.  A oneof `_name` stands for `optional`.
$1 == "package" { sub(/;/, "", $2); name[0] = $2; depth = 0 }
$1 == "oneof" && $2 !~ /^_/ {
	full = name[0]
	for (i = 1; i <= depth; i++)
		if (name[i] != "")
			full = full "." name[i]
	printf "{\"%s\", \"%s\"},\n", full, $2
}
/{/ { depth++; name[depth] = $1 == "message" ? $2 : "" }
/}/ { depth-- }
