"""The fixed block between the stages of NAS-Bench-201's networks."""

from torch import Tensor, nn

from spaces.cells.operations import Norm, convolution, relu_conv_bn


class ResidualReduction(nn.Module):
    """A basic residual block of stride 2, which halves height and width (Dong & Yang, ICLR 2020, section 2.1)."""

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            relu_conv_bn(channels_in, channels_out, 3, 2, norm), relu_conv_bn(channels_out, channels_out, 3, 1, norm)
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True), convolution(channels_in, channels_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', ceil(H / 2), ceil(W / 2)]."""
        out: Tensor = self.shortcut(x) + self.residual(x)
        return out
