package main

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
)

const brokerMethod = "/plugin.GRPCBroker/StartStream"

// Wire watches the host's main connection: how often it was made, and whether the broker stream still stands.
type Wire struct {
	conns, ended  atomic.Int32
	brokerUp      atomic.Bool
	brokerDown    atomic.Bool
	cancelBrokerF atomic.Value
}

func (w *Wire) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStatsHandler(w), grpc.WithChainStreamInterceptor(w.intercept)}
}

// TagRPC, HandleRPC, TagConn and HandleConn implement stats.Handler.
func (w *Wire) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC does nothing.
func (w *Wire) HandleRPC(context.Context, stats.RPCStats) {}

// TagConn returns the context as it is.
func (w *Wire) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn counts connections.
func (w *Wire) HandleConn(_ context.Context, s stats.ConnStats) {
	switch s.(type) {
	case *stats.ConnBegin:
		w.conns.Add(1)
	case *stats.ConnEnd:
		w.ended.Add(1)
	}
}

func (w *Wire) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if method != brokerMethod {
		return next(ctx, desc, cc, method, opts...)
	}
	ctx, cancel := context.WithCancel(ctx)
	w.cancelBrokerF.Store(cancel)
	s, err := next(ctx, desc, cc, method, opts...)
	if err != nil {
		cancel()
		w.brokerDown.Store(true)
		return nil, err
	}
	w.brokerUp.Store(true)
	return &brokerStream{s, w}, nil
}

// endBroker ends the broker stream but leaves the connection.
func (w *Wire) endBroker() {
	if cancel, ok := w.cancelBrokerF.Load().(context.CancelFunc); ok {
		cancel()
	}
}

type brokerStream struct {
	grpc.ClientStream
	w *Wire
}

func (b *brokerStream) RecvMsg(m any) error {
	err := b.ClientStream.RecvMsg(m)
	if err != nil {
		b.w.brokerDown.Store(true)
	}
	return err
}

// rawMessage is a request that is on the wire already. Many calls can send the same bytes without a copy each.
type rawMessage []byte

func marshalRaw(m proto.Message) rawMessage {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// rawCodec sends rawMessage as it is and everything else as protobuf does.
type rawCodec struct{ encoding.CodecV2 }

func newRawCodec() rawCodec { return rawCodec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.(rawMessage); ok {
		return mem.BufferSlice{mem.SliceBuffer(raw)}, nil
	}
	return c.CodecV2.Marshal(v)
}
