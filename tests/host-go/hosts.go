package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	configpb "latchkey.test/hostgo/proto/config_provider"
	pb "latchkey.test/hostgo/proto/plugin"
)

// Launch says how a host starts the plugin. The zero value is a plain microgateway without a data directory.
type Launch struct {
	Studio, AutoMTLS, Mux bool
	Data                  string         // LATCHKEY_DATA_DIR, left out when empty
	Config                map[string]any // the admin's settings, as parsed from JSON
	Env                   []string       // further variables of the host's environment
	NoInit, NoSession     bool
	Attach                *net.TCPAddr // attach instead of starting
}

// Host is one host with its plugin process.
type Host struct {
	Launch
	env      *Env
	client   *goplugin.Client
	cmd      *exec.Cmd
	conn     *grpc.ClientConn
	broker   *goplugin.GRPCBroker
	svc      pb.PluginServiceClient
	config   configpb.ConfigProviderServiceClient
	brokerID uint32
	pluginID uint32
	pid      int
	addr     net.Addr
	wire     *Wire
	logs     *LogSink
	relayed  *relay
	fakes    *Fakes
	initTook time.Duration

	life    context.Context
	endLife context.CancelFunc
	session *sessionLoop
	judged  atomic.Bool // Kill has reported the problems
	dying   atomic.Bool // a case is about to end the plugin; failing Pings are no news
	async   sync.WaitGroup
	mu      sync.Mutex
	late    []error
}

var lastPluginID atomic.Uint32

type dispensed struct {
	broker *goplugin.GRPCBroker
	conn   *grpc.ClientConn
}

// entry is both entries of the hosts' plugin map: what it dispenses is the bare connection.
type entry struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (entry) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this program is a host only")
}

func (entry) GRPCClient(_ context.Context, b *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return dispensed{b, c}, nil
}

// connect starts (or attaches to) the plugin and dispenses it; no RPC of ours has been made yet.
func connect(env *Env, l Launch) (*Host, error) {
	h := &Host{Launch: l, env: env, wire: &Wire{}, pluginID: lastPluginID.Add(1), relayed: &relay{levels: map[hclog.Level]int{}}}
	h.fakes = NewFakes(l.Studio, h.pluginID)
	h.logs = &LogSink{secrets: env.Secrets, name: "plugin", echo: env.Verbose}
	h.life, h.endLife = context.WithCancel(context.Background())
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "plugin", Level: hclog.Debug, Output: io.Discard})
	logger.RegisterSink(h.relayed)
	cfg := &goplugin.ClientConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "AI_STUDIO_PLUGIN", MagicCookieValue: "v1"},
		Plugins:         goplugin.PluginSet{"plugin": entry{}, "config": entry{}},
		AllowedProtocols: []goplugin.Protocol{
			goplugin.ProtocolGRPC,
		},
		AutoMTLS:            l.AutoMTLS,
		GRPCBrokerMultiplex: l.Mux,
		Logger:              logger,
		Stderr:              h.logs,
		GRPCDialOptions:     h.wire.dialOptions(),
		StartTimeout:        startLimit,
	}
	name := "plugin"
	if l.NoInit {
		name = "config"
	}
	if l.Attach != nil {
		cfg.Reattach = &goplugin.ReattachConfig{Protocol: goplugin.ProtocolGRPC, Addr: l.Attach, Pid: 0}
	} else {
		h.cmd = exec.Command(env.Binary)
		h.cmd.Env = append([]string{"LATCHKEY_STORE__DEV=true"}, l.Env...)
		if l.Data != "" {
			h.cmd.Env = append(h.cmd.Env, "LATCHKEY_DATA_DIR="+l.Data)
		}
		cfg.Cmd = h.cmd
	}
	h.client = goplugin.NewClient(cfg)
	if err := h.dispense(name); err != nil {
		h.Abandon()
		return nil, err
	}
	return h, nil
}

func (h *Host) dispense(name string) error {
	proto, err := h.client.Client()
	if err != nil {
		return fmt.Errorf("starting the plugin: %w", err)
	}
	raw, err := proto.Dispense(name)
	if err != nil {
		return fmt.Errorf("dispensing %s: %w", name, err)
	}
	d := raw.(dispensed)
	h.conn, h.broker = d.conn, d.broker
	h.svc, h.config = pb.NewPluginServiceClient(h.conn), configpb.NewConfigProviderServiceClient(h.conn)
	if r := h.client.ReattachConfig(); r != nil {
		h.addr = r.Addr
		h.pid = r.Pid
	}
	return nil
}

// Socket is the path of the plugin's unix socket.
func (h *Host) Socket() string {
	if a, ok := h.addr.(*net.UnixAddr); ok {
		return a.Name
	}
	return ""
}

// Begin does what a host does up to the point where requests flow.
func (h *Host) Begin(ctx context.Context) error {
	if h.Attach != nil {
		if err := h.ping(ctx, 5*time.Second); err != nil { // before Initialize
			return fmt.Errorf("Ping before Initialize: %w", err)
		}
	}
	h.serveBroker(ctx)
	if h.Studio {
		return h.beginStudio(ctx)
	}
	return h.beginMicrogateway(ctx)
}

// serveBroker offers the service API under a new broker id.
func (h *Host) serveBroker(ctx context.Context) {
	h.brokerID = h.broker.NextId()
	ready := make(chan struct{})
	go h.broker.AcceptAndServe(h.brokerID, func(opts []grpc.ServerOption) *grpc.Server {
		defer close(ready)
		return h.fakes.Server(opts)
	})
	select {
	case <-ready:
	case <-time.After(500 * time.Millisecond):
	case <-ctx.Done():
	}
}

// settings flattens the admin's settings as both hosts do: numbers are Go floats printed with %v.
func (h *Host) settings(hostKeys map[string]string) map[string]string {
	raw, _ := json.Marshal(h.Config)
	var parsed map[string]any
	_ = json.Unmarshal(raw, &parsed)
	out := map[string]string{}
	for k, v := range parsed {
		switch v := v.(type) {
		case string:
			out[k] = v
		case bool, float64:
			out[k] = fmt.Sprintf("%v", v)
		default:
			text, _ := json.Marshal(v)
			out[k] = string(text)
		}
	}
	for k, v := range hostKeys {
		out[k] = v
	}
	return out
}

// Abandon drops the host without a word and makes sure that the process is gone.
func (h *Host) Abandon() {
	h.endLife()
	done := make(chan struct{})
	go func() { h.client.Kill(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		if h.Attach == nil && h.cmd != nil && h.cmd.Process != nil {
			endProcess(h.cmd.Process.Pid)
		}
	}
}

func (h *Host) problem(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = append(h.late, fmt.Errorf(format, args...))
}

// Problems returns what went wrong in the background: session, pings, log lines.
func (h *Host) Problems() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(append(append([]error{}, h.late...), h.logs.Verdict())...)
}

// relay counts what go-plugin made of the plugin's log lines.
type relay struct {
	mu     sync.Mutex
	levels map[hclog.Level]int
}

// Accept implements hclog.SinkAdapter. Lines that go-plugin understood carry their own time stamp.
func (r *relay) Accept(_ string, level hclog.Level, _ string, args ...any) {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "timestamp" {
			r.mu.Lock()
			r.levels[level]++
			r.mu.Unlock()
			return
		}
	}
}

func (r *relay) total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.levels {
		n += c
	}
	return n
}
