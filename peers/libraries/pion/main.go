// Pion as a client of examples/echo: `pion URL HOW SETUP`; see README.md, and relayed.go.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	wanted   = 100
	patience = 20 * time.Second
)

// stream is one section: packets with contents of our own, and those that came back.
type stream struct {
	kind  string
	track *webrtc.TrackLocalStaticRTP

	lock sync.Mutex
	// sent says of each content whether it came back.
	sent map[string]bool
	told told
}

type told struct {
	Returned int      `json:"returned"`
	Altered  int      `json:"altered"`
	Sources  []uint32 `json:"sources"`
}

type result struct {
	State  string `json:"state"`
	Call   string `json:"call"`
	Offer  string `json:"offer"`
	Answer string `json:"answer"`
	Video  told   `json:"video"`
	Audio  told   `json:"audio"`
	// Data has the lengths of what came back, or -1 where it is not what was said.
	Data []int `json:"data"`
}

func newStream(connection *webrtc.PeerConnection, kind, mime string) *stream {
	capability := webrtc.RTPCodecCapability{MimeType: mime}
	track := must(webrtc.NewTrackLocalStaticRTP(capability, kind, "stream"))
	sender := must(connection.AddTrack(track))
	go func() {
		// Reports and wishes are acted on as they are read.
		for buffer := make([]byte, 1500); ; {
			if _, _, err := sender.Read(buffer); err != nil {
				return
			}
		}
	}()
	return &stream{kind: kind, track: track, sent: make(map[string]bool)}
}

// payload is what comes with a number, so that it can be checked: of any length up to 1,200 bytes.
func payload(kind string, number int) []byte {
	digest := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, number))
	length := 40 + int(binary.BigEndian.Uint16(digest[:]))%1160
	return bytes.Repeat(digest[:], 1+length/len(digest))[:length]
}

func (s *stream) send() {
	s.lock.Lock()
	defer s.lock.Unlock()
	number := len(s.sent)
	if number >= wanted {
		return
	}
	body := payload(s.kind, number)
	// The numbers come round while packets are under way.
	header := rtp.Header{Version: 2, Marker: true, SequenceNumber: uint16(0xffe0 + number)}
	header.Timestamp = uint32(number * 960)
	must(0, s.track.WriteRTP(&rtp.Packet{Header: header, Payload: body}))
	s.sent[string(body)] = false
}

func (s *stream) receive(track *webrtc.TrackRemote) {
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		s.take(packet)
	}
}

func (s *stream) take(packet *rtp.Packet) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !slices.Contains(s.told.Sources, packet.SSRC) {
		s.told.Sources = append(s.told.Sources, packet.SSRC)
	}
	returned, known := s.sent[string(packet.Payload)]
	switch {
	case !known:
		s.told.Altered++
	case !returned:
		s.sent[string(packet.Payload)] = true
		s.told.Returned++
	}
}

func (s *stream) tell() told {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.told
}

// talk is a data channel on which something is said as text, and something as bytes.
type talk struct {
	lock sync.Mutex
	back []int
}

func newTalk(connection *webrtc.PeerConnection, how *webrtc.DataChannelInit) *talk {
	long := make([]byte, 100_000)
	for at := range long {
		long[at] = byte(at)
	}
	made := &talk{}
	channel := must(connection.CreateDataChannel("chat", how))
	channel.OnOpen(func() {
		must(0, channel.SendText("hello"))
		must(0, channel.Send(long))
	})
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		made.lock.Lock()
		defer made.lock.Unlock()
		length := len(message.Data)
		if message.IsString && string(message.Data) != "hello" || !message.IsString && !bytes.Equal(message.Data, long) {
			length = -1
		}
		made.back = append(made.back, length)
	})
	return made
}

func (t *talk) tell() []int {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.back
}

// connect makes a connection that stays on this machine, with the role in DTLS that an answer of ours takes.
func connect(setup string) *webrtc.PeerConnection {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	switch setup {
	case "active":
		must(0, settings.SetAnsweringDTLSRole(webrtc.DTLSRoleClient))
	case "passive":
		must(0, settings.SetAnsweringDTLSRole(webrtc.DTLSRoleServer))
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	return must(api.NewPeerConnection(webrtc.Configuration{}))
}

// describe sets our own description, and waits for its candidates.
func describe(connection *webrtc.PeerConnection, made webrtc.SessionDescription) string {
	gathered := webrtc.GatheringCompletePromise(connection)
	must(0, connection.SetLocalDescription(made))
	<-gathered
	return connection.LocalDescription().SDP
}

func take(connection *webrtc.PeerConnection, kind webrtc.SDPType, sdp string) {
	must(0, connection.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: sdp}))
}

// call exchanges descriptions.
func call(connection *webrtc.PeerConnection, url, how string) (done result) {
	if how == "offer" {
		done.Offer = describe(connection, must(connection.CreateOffer(nil)))
		done.Answer, done.Call = ask(url+"offer", done.Offer)
		take(connection, webrtc.SDPTypeAnswer, done.Answer)
		return done
	}
	done.Offer, done.Call = ask(url+"call", "")
	take(connection, webrtc.SDPTypeOffer, done.Offer)
	done.Answer = describe(connection, must(connection.CreateAnswer(nil)))
	ask(url[:len(url)-1]+done.Call+"/answer", done.Answer)
	return done
}

// ask posts, and returns what is answered and where it is from now on.
func ask(url, body string) (text, location string) {
	response := must(http.Post(url, "application/sdp", bytes.NewBufferString(body)))
	defer response.Body.Close()
	answered := must(io.ReadAll(response.Body))
	if response.StatusCode >= 300 {
		log.Fatalf("%s: %s: %s", url, response.Status, answered)
	}
	return string(answered), response.Header.Get("Location")
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	if os.Args[1] == "relayed" {
		relayed(os.Args[2], os.Args[3], os.Args[4], ended)
		return
	}
	url, how, setup := os.Args[1], os.Args[2], os.Args[3]
	connection := connect(setup)
	video := newStream(connection, "video", webrtc.MimeTypeVP8)
	audio := newStream(connection, "audio", webrtc.MimeTypeOpus)
	chat := newTalk(connection, nil)
	connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			video.receive(track)
		} else {
			audio.receive(track)
		}
	})
	done := call(connection, url, how)
	for last := time.Now().Add(patience); time.Now().Before(last); time.Sleep(10 * time.Millisecond) {
		if video.tell().Returned >= wanted && audio.tell().Returned >= wanted && len(chat.tell()) >= 2 {
			break
		}
		if connection.ConnectionState() == webrtc.PeerConnectionStateConnected {
			video.send()
			audio.send()
		}
	}
	done.State = connection.ConnectionState().String()
	done.Video, done.Audio, done.Data = video.tell(), audio.tell(), chat.tell()
	fmt.Println(string(must(json.Marshal(done))))
	<-ended
	must(0, connection.Close())
}
