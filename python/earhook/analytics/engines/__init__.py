"""The engines that come with Earhook; entry points of `earhook.engines` name their makers."""
