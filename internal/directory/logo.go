package directory

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	_ "image/jpeg" // logos are decoded
	_ "image/png"  // logos are decoded
	"strings"
)

// Limits of a logo. The pixels are limited so that a small file cannot unpack
// into all memory.
const (
	maxLogo       = 2 << 20 // bytes
	maxLogoPixels = 25_000_000
)

// logoTypes are the media types of logos, and how their files end.
var logoTypes = map[string]string{"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}

// LogoFile returns the logo as a file to upload. It is false when the profile has
// none, or one that is not a data: URL.
func (b *Business) LogoFile() (name, mediaType string, data []byte, ok bool) {
	mediaType, data, err := parseDataURL(b.Logo)
	ending, known := logoTypes[mediaType]
	if err != nil || !known {
		return "", "", nil, false
	}
	return "logo" + ending, mediaType, data, true
}

// parseDataURL reads data:TYPE;base64,CONTENT.
func parseDataURL(s string) (mediaType string, data []byte, err error) {
	rest, ok := strings.CutPrefix(s, "data:")
	head, content, found := strings.Cut(rest, ",")
	mediaType, isBase64 := strings.CutSuffix(head, ";base64")
	if !ok || !found || !isBase64 {
		return "", nil, fmt.Errorf("not a data: URL in base64")
	}
	data, err = base64.StdEncoding.DecodeString(content)
	return mediaType, data, err
}

// logoFault says what is wrong with a logo as it stands in an order, or "".
func logoFault(s string) string {
	if !strings.HasPrefix(s, "data:") {
		return "is not a data: URL: write data:image/png;base64,… with the image's content"
	}
	mediaType, data, err := parseDataURL(s)
	if err != nil {
		return "is not a readable data: URL: write data:image/png;base64,… with the image's content"
	}
	kind, fault := checkImage(data)
	if fault == "" && kind != mediaType {
		fault = fmt.Sprintf("says %s but holds %s: correct the media type", oneLine(mediaType), kind)
	}
	return fault
}

// checkImage returns the media type of an image, or what is wrong with it.
func checkImage(data []byte) (mediaType, fault string) {
	if len(data) > maxLogo {
		return "", fmt.Sprintf("has %d bytes, more than the %d a logo may have: scale it down", len(data), maxLogo)
	}
	if bytes.HasPrefix(data, []byte("RIFF")) {
		return checkWebP(data)
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return "", "is not a PNG, JPEG or WebP image: save it as one of these"
	}
	if fault := sizeFault(config.Width, config.Height); fault != "" {
		return "", fault
	}
	if _, _, err := image.Decode(bytes.NewReader(data)); err != nil {
		return "", fmt.Sprintf("is a damaged image (%v): save it anew", err)
	}
	return "image/" + format, ""
}

func sizeFault(width, height int) string {
	if width < 1 || height < 1 || width > maxLogoPixels/height {
		return fmt.Sprintf("has %d × %d pixels, a logo may have %d in all: scale it down", width, height, maxLogoPixels)
	}
	return ""
}

// checkWebP reads the container and the frame header of a WebP file. The pixels
// themselves are not decoded: the standard library cannot.
func checkWebP(data []byte) (mediaType, fault string) {
	const damaged = "is a damaged WebP image: save it anew"
	if len(data) < 30 || string(data[8:12]) != "WEBP" || int(binary.LittleEndian.Uint32(data[4:])) > len(data)-8 {
		return "", damaged
	}
	width, height := 0, 0
	switch frame := data[20:]; string(data[12:16]) {
	case "VP8X":
		width, height = 1+uint24(frame[4:]), 1+uint24(frame[7:])
	case "VP8L":
		if frame[0] != 0x2f {
			return "", damaged
		}
		bits := binary.LittleEndian.Uint32(frame[1:])
		width, height = 1+int(bits&0x3fff), 1+int(bits>>14&0x3fff)
	case "VP8 ":
		if !bytes.Equal(frame[3:6], []byte{0x9d, 0x01, 0x2a}) {
			return "", damaged
		}
		width, height = int(binary.LittleEndian.Uint16(frame[6:])&0x3fff), int(binary.LittleEndian.Uint16(frame[8:])&0x3fff)
	default:
		return "", damaged
	}
	return "image/webp", sizeFault(width, height)
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
