import torch

from gan_lightning.networks.mlp import (
    ConditionalMLPDiscriminator,
    ConditionalMLPGenerator,
    MLPDiscriminator,
    MLPGenerator,
)


def test_shapes_and_range():
    z, labels = 5 * torch.randn(3, 100), torch.tensor([0, 4, 9])
    images = MLPGenerator()(z)
    assert images.shape == (3, 1, 28, 28)
    assert 0 < images.abs().max() <= 1
    assert ConditionalMLPGenerator()(z, labels).shape == (3, 1, 28, 28)
    assert MLPDiscriminator()(images).shape == (3,)
    assert ConditionalMLPDiscriminator()(images, labels).shape == (3,)
    assert MLPGenerator(latent_dim=2, image_size=5, channels=3, hidden=[])(torch.randn(3, 2)).shape == (3, 3, 5, 5)
    assert MLPDiscriminator(image_size=5, channels=3, hidden=[], num_classes=10)(
        torch.randn(3, 3, 5, 5), labels
    ).shape == (3,)


def test_initial_weights_are_the_papers():
    for net, bound in (
        (MLPGenerator(), 0.05),
        (MLPDiscriminator(), 0.005),
        (ConditionalMLPGenerator(), 0.05),
        (ConditionalMLPDiscriminator(), 0.005),
    ):
        for name, p in net.named_parameters():
            if name.endswith("bias"):
                assert not p.any()
            else:
                assert 0.9 * bound < p.abs().max().item() <= bound


def test_dropout_works_in_training_only():
    for net, x in (
        (MLPDiscriminator(), (torch.randn(2, 1, 28, 28),)),
        (ConditionalMLPGenerator(), (torch.randn(2, 100), torch.tensor([0, 1]))),
        (ConditionalMLPDiscriminator(), (torch.randn(2, 1, 28, 28), torch.tensor([0, 1]))),
    ):
        assert not torch.equal(net(*x), net(*x))
        net.eval()
        assert torch.equal(net(*x), net(*x))


def test_dropout_is_in_front_of_each_of_the_discriminators_layers():
    layers = MLPDiscriminator(input_dropout=0.1, dropout=0.4).net
    assert [type(layer).__name__ for layer in layers] == ["Dropout", "Maxout", "Dropout", "Maxout", "Dropout"]
    assert [layers[i].p for i in (0, 2, 4)] == [0.1, 0.4, 0.4]


def test_conditional_networks_are_the_papers():
    """Without dropout, against the paper's sentences written out; the one-hot product is a column of the weights."""
    labels = torch.tensor([3, 0])

    g, z = ConditionalMLPGenerator(dropout=0), torch.randn(2, 100)
    from_z = torch.relu(z @ g.latent.weight.T)
    from_y = torch.relu(g.label.weight[:, labels].T)
    joint = torch.relu(torch.cat([from_z, from_y], dim=1) @ g.joint.weight.T)
    torch.testing.assert_close(g(z, labels), 2 * torch.sigmoid(joint @ g.output.weight.T).view(2, 1, 28, 28) - 1)

    d, images = ConditionalMLPDiscriminator(dropout=0), torch.randn(2, 1, 28, 28)
    from_x = ((images.view(2, 784) + 1) / 2 @ d.image.linear.weight.T).view(2, 240, 5).max(dim=2).values
    from_y = d.label.linear.weight[:, labels].T.view(2, 50, 5).max(dim=2).values
    joint = (torch.cat([from_x, from_y], dim=1) @ d.joint.linear.weight.T).view(2, 240, 4).max(dim=2).values
    torch.testing.assert_close(d(images, labels), (joint @ d.output.weight.T)[:, 0])


def test_conditional_networks_drop_hidden_values_before_both_later_layers():
    labels = torch.zeros(2, dtype=torch.int64)
    for net, x in (
        (ConditionalMLPGenerator(dropout=1), torch.randn(2, 100)),
        (ConditionalMLPDiscriminator(dropout=1), torch.randn(2, 1, 28, 28)),
    ):
        seen: list[torch.Tensor] = []
        for layer in (net.joint, net.output):
            layer.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        torch.nn.init.ones_(net.joint.bias if isinstance(net, ConditionalMLPGenerator) else net.joint.linear.bias)
        net(x, labels)
        assert len(seen) == 2
        assert not any(values.any() for values in seen)
