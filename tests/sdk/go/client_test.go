// A connect-go client in each of its three protocols, binary codec.

package sdk

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const base = "http://localhost:49983/"

type (
	msg      = dynamicpb.Message
	incoming = connect.ServerStreamForClient[msg]
	outgoing = connect.ClientStreamForClient[msg, msg]
)

// peer speaks one protocol.
type peer struct {
	name    string
	options []connect.ClientOption
	user    string
}

var peers = []peer{
	{name: "connect"},
	{name: "connect-gzip", options: []connect.ClientOption{connect.WithSendGzip()}},
	{name: "grpc", options: []connect.ClientOption{connect.WithGRPC()}},
	{name: "grpc-gzip", options: []connect.ClientOption{connect.WithGRPC(), connect.WithSendGzip()}},
	{name: "grpc-web", options: []connect.ClientOption{connect.WithGRPCWeb()}},
}

// forEach runs the test once per protocol.
func forEach(t *testing.T, test func(*testing.T, peer)) {
	t.Helper()
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

func (p peer) as(user string) peer {
	p.user = user
	return p
}

// client is a client of one method, with messages of that method's types.
func (p peer) client(desc protoreflect.MethodDescriptor) *connect.Client[msg, msg] {
	service := desc.Parent().FullName()
	initialise := func(spec connect.Spec, made any) error {
		output := spec.Schema.(protoreflect.MethodDescriptor).Output()
		*made.(*msg) = *dynamicpb.NewMessage(output)
		return nil
	}
	options := append([]connect.ClientOption{
		connect.WithSchema(desc), connect.WithResponseInitializer(initialise)}, p.options...)
	url := fmt.Sprintf("%s%s/%s", base, service, desc.Name())
	return connect.NewClient[msg, msg](http.DefaultClient, url, options...)
}

func (p peer) sign(header http.Header) {
	if p.user != "" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.user+":")))
	}
}

// call makes a unary call; the request is given in its JSON form.
func (p peer) call(t *testing.T, name, request string) (*msg, error) {
	t.Helper()
	desc := method(t, name)
	sent := connect.NewRequest(message(t, desc.Input(), request))
	p.sign(sent.Header())
	answer, err := p.client(desc).CallUnary(t.Context(), sent)
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// must is call for requests that have to succeed.
func (p peer) must(t *testing.T, name, request string) *msg {
	t.Helper()
	answer, err := p.call(t, name, request)
	if err != nil {
		t.Fatalf("%s %s: %v", name, request, err)
	}
	return answer
}

// open starts a server stream.
func (p peer) open(ctx context.Context, t *testing.T, name, request string) *incoming {
	t.Helper()
	desc := method(t, name)
	sent := connect.NewRequest(message(t, desc.Input(), request))
	p.sign(sent.Header())
	stream, err := p.client(desc).CallServerStream(ctx, sent)
	if err != nil {
		t.Fatalf("%s %s: %v", name, request, err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return stream
}

// input opens a client stream of StreamInput; send takes the JSON form.
func (p peer) input(t *testing.T) (stream *outgoing, send func(request string)) {
	t.Helper()
	desc := method(t, "Process/StreamInput")
	stream = p.client(desc).CallClientStream(t.Context())
	return stream, func(request string) {
		t.Helper()
		if err := stream.Send(message(t, desc.Input(), request)); err != nil {
			t.Fatalf("StreamInput %s: %v", request, err)
		}
	}
}

// refused asserts the code and message of an error.
func refused(t *testing.T, err error, code connect.Code, words string) {
	t.Helper()
	var failure *connect.Error
	if !asConnect(err, &failure) {
		t.Fatalf("error is %v, want %v", err, code)
	}
	if failure.Code() != code || failure.Message() != words {
		t.Fatalf("error is %v %q, want %v %q", failure.Code(), failure.Message(), code, words)
	}
}
