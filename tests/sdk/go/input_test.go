// SendInput, StreamInput, CloseStdin, Update, SendSignal.

package sdk

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"
)

const terminal = `"pty":{"size":{"cols":80,"rows":24}}`

func TestSendInputAndCloseStdin(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"cat"}}`)
		p.must(t, "Process/SendInput", selector(run.pid, bytesField("stdin", "bytes \x00\xff ")))
		p.must(t, "Process/SendInput", selector(run.pid, bytesField("stdin", "")))
		run.has("stdout", "bytes \x00\xff ")
		p.must(t, "Process/SendInput", selector(run.pid, bytesField("stdin", "more")))
		p.must(t, "Process/CloseStdin", selector(run.pid))
		run.wait(0, "exit status 0")
		if got := string(run.output["stdout"]); got != "bytes \x00\xff more" {
			t.Fatalf("output is %q", got)
		}
	})
}

// A terminal session: one input stream for its whole life, every line
// answered before the next one is sent.
func TestStreamInputToATerminal(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, sh("stty -echo; while read line; do echo got:$line; done", terminal))
		stream, send := p.input(t)
		send(`{"start":{"process":` + fmt.Sprintf(`{"pid":%d}`, run.pid) + `}}`)
		for i := range 20 {
			send(`{"data":{` + bytesField("pty", fmt.Sprintf("line %d\n", i)) + `}}`)
			run.has("pty", fmt.Sprintf("got:line %d\r\n", i))
			send(`{"keepalive":{}}`)
		}
		if _, err := stream.CloseAndReceive(); err != nil {
			t.Fatalf("closing the stream: %v", err)
		}
		p.must(t, "Process/SendInput", selector(run.pid, bytesField("pty", "after\n\x04")))
		run.has("pty", "got:after\r\n")
		run.wait(0, "exit status 0")
	})
}

func TestStreamInputToStdin(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"cat"}}`)
		stream, send := p.input(t)
		send(fmt.Sprintf(`{"start":{"process":{"pid":%d}}}`, run.pid))
		for _, word := range []string{"one ", "two ", "three "} {
			send(`{"data":{` + bytesField("stdin", word) + `}}`)
			run.has("stdout", word)
		}
		if _, err := stream.CloseAndReceive(); err != nil {
			t.Fatalf("closing the stream: %v", err)
		}
		p.must(t, "Process/SendInput", selector(run.pid, bytesField("stdin", "still open")))
		run.has("stdout", "three still open")
		p.must(t, "Process/CloseStdin", selector(run.pid))
		run.wait(0, "exit status 0")
	})
}

func TestStreamInputSwitchesProcess(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		runs := []*process{p.start(t, `{"process":{"cmd":"cat"}}`), p.start(t, `{"process":{"cmd":"cat"}}`)}
		stream, send := p.input(t)
		for i, run := range []*process{runs[0], runs[1], runs[0]} {
			send(fmt.Sprintf(`{"start":{"process":{"pid":%d}}}`, run.pid))
			send(`{"data":{` + bytesField("stdin", fmt.Sprintf("turn %d.", i)) + `}}`)
		}
		if _, err := stream.CloseAndReceive(); err != nil {
			t.Fatalf("closing the stream: %v", err)
		}
		for i, expected := range []string{"turn 0.turn 2.", "turn 1."} {
			p.must(t, "Process/CloseStdin", selector(runs[i].pid))
			runs[i].wait(0, "exit status 0")
			if got := string(runs[i].output["stdout"]); got != expected {
				t.Fatalf("process %d got %q", i, got)
			}
		}
	})
}

func TestStreamInputWithoutMessages(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		stream, _ := p.input(t)
		if err := stream.Send(nil); err != nil {
			t.Fatalf("sending the headers: %v", err)
		}
		if _, err := stream.CloseAndReceive(); err != nil {
			t.Fatalf("closing the stream: %v", err)
		}
	})
}

func TestStreamInputToUnknownProcess(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		stream, send := p.input(t)
		send(`{"start":{"process":{"pid":999999}}}`)
		_, err := stream.CloseAndReceive()
		refused(t, err, connect.CodeNotFound, "process with pid 999999 not found")
	})
}

func TestUpdate(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, sh("stty size; read line; stty size", terminal))
		run.has("pty", "24 80\r\n")
		p.must(t, "Process/Update", selector(run.pid, `"pty":{"size":{"cols":70132,"rows":70033}}`))
		p.must(t, "Process/Update", selector(run.pid))
		p.must(t, "Process/SendInput", selector(run.pid, bytesField("pty", "go\n")))
		run.has("pty", "4497 4596\r\n")
		run.wait(0, "exit status 0")
	})
}

func TestUpdateErrors(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"cat"}}`)
		_, err := p.call(t, "Process/Update", selector(run.pid, terminal))
		refused(t, err, connect.CodeInternal, "error resizing tty: tty not assigned to process")
		_, err = p.call(t, "Process/Update", selector(999999, terminal))
		refused(t, err, connect.CodeNotFound, "process with pid 999999 not found")
		_, err = p.call(t, "Process/Update", `{}`)
		refused(t, err, connect.CodeUnimplemented, "invalid input type *process.ProcessSelector")
	})
}

// The text has a dash beyond ASCII, which gRPC has to percent-encode.
func TestInputErrors(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"cat"}}`)
		_, err := p.call(t, "Process/SendInput", selector(run.pid, bytesField("pty", "x")))
		refused(t, err, connect.CodeInternal, "error writing to tty: tty not assigned to process — "+
			"input should be written to the stdin, not the tty")
		p.must(t, "Process/CloseStdin", selector(run.pid))
		run.wait(0, "exit status 0")
	})
}

func TestSignals(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		for signal, name := range map[string]string{"SIGNAL_SIGTERM": "terminated", "SIGNAL_SIGKILL": "killed"} {
			run := p.start(t, `{"process":{"cmd":"sleep","args":["300"]}}`)
			p.must(t, "Process/SendSignal", selector(run.pid, fmt.Sprintf(`"signal":%q`, signal)))
			run.wait(-1, "signal: "+name)
		}
	})
}

func TestSignalErrors(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"sleep","args":["300"]}}`)
		_, err := p.call(t, "Process/SendSignal", selector(run.pid))
		refused(t, err, connect.CodeUnimplemented, "invalid signal: SIGNAL_UNSPECIFIED")
		_, err = p.call(t, "Process/SendSignal", selector(999999, `"signal":9`))
		refused(t, err, connect.CodeNotFound, "process with pid 999999 not found")
	})
}
