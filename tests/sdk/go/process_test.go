// A process under test: its event stream, read step by step.

package sdk

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect"
)

// process follows one Start or Connect stream.
type process struct {
	t      *testing.T
	stream *incoming
	pid    uint64
	output map[string][]byte // by "stdout", "stderr", "pty"
	end    *msg
}

func asConnect(err error, target **connect.Error) bool {
	return errors.As(err, target)
}

// start runs a command and reads its start event.
func (p peer) start(t *testing.T, request string) *process {
	t.Helper()
	return p.startWithin(t.Context(), t, request)
}

func (p peer) startWithin(ctx context.Context, t *testing.T, request string) *process {
	t.Helper()
	started := follow(t, p.open(ctx, t, "Process/Start", request))
	t.Cleanup(func() {
		// t.Context() is over here, so the clean-up has its own.
		desc := method(t, "Process/SendSignal")
		kill := message(t, desc.Input(), selector(started.pid, `"signal":"SIGNAL_SIGKILL"`))
		for patience := time.Now().Add(30 * time.Second); time.Now().Before(patience); {
			_, err := peers[0].client(desc).CallUnary(context.Background(), connect.NewRequest(kill))
			if connect.CodeOf(err) == connect.CodeNotFound {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Errorf("process %d does not go away", started.pid)
	})
	return started
}

// attach connects to a process by its selector.
func (p peer) attach(t *testing.T, selected string) *process {
	t.Helper()
	return follow(t, p.open(t.Context(), t, "Process/Connect", `{"process":`+selected+`}`))
}

func follow(t *testing.T, stream *incoming) *process {
	t.Helper()
	p := &process{t: t, stream: stream, output: map[string][]byte{}}
	if !stream.Receive() {
		t.Fatalf("no start event: %v", stream.Err())
	}
	pid, ok := field(stream.Msg(), "event.start.pid")
	if !ok {
		t.Fatalf("the first event is %v", stream.Msg())
	}
	p.pid = pid.Uint()
	return p
}

// next takes one more message; false at the end of the stream.
func (p *process) next() bool {
	p.t.Helper()
	if !p.stream.Receive() {
		return false
	}
	if p.end != nil {
		p.t.Fatalf("after the end event: %v", p.stream.Msg())
	}
	for _, name := range []string{"stdout", "stderr", "pty"} {
		if data, ok := field(p.stream.Msg(), "event.data."+name); ok {
			p.output[name] = append(p.output[name], data.Bytes()...)
		}
	}
	if end, ok := field(p.stream.Msg(), "event.end"); ok {
		p.end = end.Message().Interface().(*msg)
	}
	return true
}

// has reads until the output holds the text.
func (p *process) has(output, wanted string) {
	p.t.Helper()
	for !bytes.Contains(p.output[output], []byte(wanted)) {
		if !p.next() {
			p.t.Fatalf("no %q in %q: %v", wanted, p.output[output], p.stream.Err())
		}
	}
}

// wait reads to the end and checks how the process ended.
func (p *process) wait(code int64, status string) {
	p.t.Helper()
	for p.next() {
	}
	if err := p.stream.Err(); err != nil {
		p.t.Fatalf("the stream failed: %v", err)
	}
	if p.end == nil {
		p.t.Fatal("the stream has no end event")
	}
	exit, _ := field(p.end, "exit_code")
	exited, _ := field(p.end, "exited")
	if exit.Int() != code || text(p.end, "status") != status || exited.Bool() != (code >= 0) {
		p.t.Fatalf("ended with %v", p.end)
	}
	reason, present := field(p.end, "error")
	if present != (code != 0) || (present && reason.String() != status) {
		p.t.Fatalf("error is %v, present %v", reason, present)
	}
}

// running tells whether the agent lists the pid.
func running(t *testing.T, pid uint64) bool {
	t.Helper()
	answer := peers[0].must(t, "Process/List", `{}`)
	list, _ := field(answer, "processes")
	for i := range list.List().Len() {
		if listed, _ := field(list.List().Get(i).Message(), "pid"); listed.Uint() == pid {
			return true
		}
	}
	return false
}

// sh is the JSON of a StartRequest for a shell script, with more members.
func sh(script string, members ...string) string {
	request := `{"process":{"cmd":"/bin/sh","args":["-c",` + strconv.Quote(script) + `]}`
	for _, member := range members {
		request += "," + member
	}
	return request + "}"
}

// selector is the JSON of a request that names a pid, with more members.
func selector(pid uint64, members ...string) string {
	request := fmt.Sprintf(`{"process":{"pid":%d}`, pid)
	for _, member := range members {
		request += "," + member
	}
	return request + "}"
}

// bytesField is a JSON member holding bytes.
func bytesField(name, value string) string {
	return fmt.Sprintf(`"input":{%q:%q}`, name, base64.StdEncoding.EncodeToString([]byte(value)))
}
