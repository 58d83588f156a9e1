// Messages built at run time from the project's own proto files.

package sdk

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// schema compiles the proto files once.
var schema = sync.OnceValues(func() (map[string]protoreflect.ServiceDescriptor, error) {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(
		&protocompile.SourceResolver{ImportPaths: []string{os.Getenv("SDK_PROTO")}})}
	files, err := compiler.Compile(context.Background(), "process.proto", "filesystem.proto")
	if err != nil {
		return nil, err
	}
	services := map[string]protoreflect.ServiceDescriptor{}
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			services[string(service.FullName())] = service
		}
	}
	return services, nil
})

// method finds "Process/Start" or "Filesystem/Stat".
func method(t *testing.T, name string) protoreflect.MethodDescriptor {
	t.Helper()
	services, err := schema()
	if err != nil {
		t.Fatalf("the proto files do not compile: %v", err)
	}
	service, member, _ := strings.Cut(name, "/")
	found := services[strings.ToLower(service)+"."+service]
	if found == nil || found.Methods().ByName(protoreflect.Name(member)) == nil {
		t.Fatalf("the proto files have no method %s", name)
	}
	return found.Methods().ByName(protoreflect.Name(member))
}

// message makes a message from its JSON form; it travels as binary.
func message(t *testing.T, desc protoreflect.MessageDescriptor, json string) *dynamicpb.Message {
	t.Helper()
	made := dynamicpb.NewMessage(desc)
	if err := protojson.Unmarshal([]byte(json), made); err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	return made
}

// field walks singular fields by name; ok tells whether all of them are set.
func field(from protoreflect.Message, path string) (value protoreflect.Value, ok bool) {
	for name := range strings.SplitSeq(path, ".") {
		desc := from.Descriptor().Fields().ByName(protoreflect.Name(name))
		value, ok = from.Get(desc), from.Has(desc)
		if desc.Message() == nil || desc.IsList() || desc.IsMap() || !ok {
			return value, ok
		}
		from = value.Message()
	}
	return value, ok
}

func text(from protoreflect.Message, path string) string {
	value, _ := field(from, path)
	return value.String()
}
